// SPDX-License-Identifier: MIT
#include "snapshot/btrfs/subvolume.h"

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cerrno>

#include "base/text.h"

namespace holdfast::host::snapshot {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Result;

namespace {

// The number of a subvolume's top directory, in each of them (Linux: BTRFS_FIRST_FREE_OBJECTID).
constexpr ino_t kTopDirectory = 256;

}  // namespace

bool is_on_btrfs(const std::string& path) {
  struct statfs status {};
  return ::statfs(path.c_str(), &status) == 0 &&
         static_cast<unsigned long>(status.f_type) == BTRFS_SUPER_MAGIC;
}

Result<bool> is_subvolume(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return false;
    return base::errno_error(errno, "unable to look at it");
  }
  if (S_ISDIR(status.st_mode) && status.st_ino == kTopDirectory && is_on_btrfs(path)) return true;
  return Error(ErrorCode::kRefused, "it is no subvolume, and so not ours");
}

Result<std::string> subvolume_of(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    return base::errno_error(errno, "unable to look at " + base::in_quotes(path));
  }
  if (!S_ISREG(status.st_mode) || !is_on_btrfs(path)) {
    return Error(ErrorCode::kUnsupported, base::in_quotes(path) + " is no file on btrfs")
        .with_hint("see METHODS in holdfast(1) for others");
  }
  // Each subvolume is a device of its own; one that is mounted by a directory in it has no top
  // here.
  for (std::string directory = base::directory_of(path);;
       directory = base::directory_of(directory)) {
    struct stat here {};
    if (::stat(directory.c_str(), &here) != 0 || here.st_dev != status.st_dev) break;
    if (here.st_ino == kTopDirectory) return directory;
    if (directory == "/") break;
  }
  return Error(ErrorCode::kUnsupported,
               "the top of the subvolume with " + base::in_quotes(path) + " is not to be seen")
      .with_hint("mount the subvolume, and not a directory in it");
}

Result<void> delete_subvolume(base::ProcessRunner& processes, const std::string& path,
                              Deadline deadline) {
  const auto there = is_subvolume(path);
  if (!there) return there.error();
  if (!*there) return {};
  const base::ProcessOutcome outcome =
      processes.run({.argv = {"btrfs", "subvolume", "delete", "--commit-after", path},
                     .environment = {},
                     .deadline = deadline});
  if (!outcome.succeeded()) return outcome.as_error("btrfs");
  return {};
}

}  // namespace holdfast::host::snapshot
