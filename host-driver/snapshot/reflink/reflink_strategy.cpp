// SPDX-License-Identifier: MIT
#include "snapshot/reflink/reflink_strategy.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/text.h"
#include "base/unique_fd.h"
#include "snapshot/clone_file.h"

namespace holdfast::host::snapshot {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Result;
using base::UniqueFd;

namespace {

Result<UniqueFd> open_image(const std::string& path, int flags) {
  UniqueFd fd(::open(path.c_str(), flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600));
  if (!fd.valid()) return base::errno_error(errno, "unable to open " + base::in_quotes(path));
  return fd;
}

// Tried with two files without a name, of which nothing stays. One without reflinks refuses empty
// ones just as well (Linux: xfs_file_remap_range()).
Result<void> check_filesystem(const std::string& directory) {
  const UniqueFd from(::open(directory.c_str(), O_RDWR | O_TMPFILE | O_CLOEXEC, 0600));
  const UniqueFd to(::open(directory.c_str(), O_RDWR | O_TMPFILE | O_CLOEXEC, 0600));
  if (!from.valid() || !to.valid()) {
    return base::errno_error(errno, "unable to make a file in " + base::in_quotes(directory));
  }
  if (::ioctl(to.get(), FICLONE, from.get()) == 0) return {};
  return Error(ErrorCode::kUnsupported,
               "the filesystem of " + base::in_quotes(directory) + " has no reflinks")
      .with_hint("see METHODS in holdfast(1) for others");
}

}  // namespace

Result<void> ReflinkStrategy::do_check() {
  return {};
}

Result<std::string> ReflinkStrategy::do_unit(const std::string& image) {
  struct stat status {};
  if (::stat(image.c_str(), &status) != 0) {
    return base::errno_error(errno, "unable to look at " + base::in_quotes(image));
  }
  if (!S_ISREG(status.st_mode)) {
    return Error(ErrorCode::kUnsupported, base::in_quotes(image) + " is no file")
        .with_hint("see METHODS in holdfast(1) for others");
  }
  if (auto able = check_filesystem(base::directory_of(image)); !able)
    return std::move(able).error();
  return image;
}

std::string ReflinkStrategy::do_place(const std::string& unit, std::size_t index) {
  const std::string directory = base::directory_of(unit);
  return (directory == "/" ? "" : directory) + "/." + snapshot_name(index);
}

// Made beforehand, so that what can fail of it costs the guest nothing.
Result<void> ReflinkStrategy::do_prepare(const JournalSnapshot& snapshot, Deadline /*deadline*/) {
  const auto clone = open_image(snapshot.path, O_RDWR | O_CREAT | O_EXCL);
  if (!clone) return clone.error();
  const auto image = open_image(snapshot.source, O_RDONLY);
  if (!image) return image.error();
  return make_alike(image->get(), clone->get());
}

Result<void> ReflinkStrategy::do_take(const JournalSnapshot& snapshot, Deadline /*deadline*/) {
  const auto image = open_image(snapshot.source, O_RDONLY);
  if (!image) return image.error();
  const auto clone = open_image(snapshot.path, O_RDWR);
  if (!clone) return clone.error();
  return clone_file(image->get(), clone->get());
}

Result<void> ReflinkStrategy::do_remove(const JournalSnapshot& snapshot, Deadline /*deadline*/) {
  if (::unlink(snapshot.path.c_str()) != 0 && errno != ENOENT) {
    return base::errno_error(errno, "unlink");
  }
  return {};
}

}  // namespace holdfast::host::snapshot
