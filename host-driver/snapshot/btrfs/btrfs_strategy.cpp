// SPDX-License-Identifier: MIT
#include "snapshot/btrfs/btrfs_strategy.h"

#include <linux/capability.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
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

// As root inside the sandbox of a unit is not enough.
bool may_administer() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> data{};
  return ::syscall(SYS_capget, &header, data.data()) == 0 &&
         (data[CAP_TO_INDEX(CAP_SYS_ADMIN)].effective & CAP_TO_MASK(CAP_SYS_ADMIN)) != 0;
}

bool is_on_btrfs(const std::string& path) {
  struct statfs status {};
  return ::statfs(path.c_str(), &status) == 0 &&
         static_cast<unsigned long>(status.f_type) == BTRFS_SUPER_MAGIC;
}

}  // namespace

Result<void> BtrfsStrategy::do_check() {
  if (!may_administer()) {
    return Error(ErrorCode::kPermission,
                 "unable to delete snapshots of btrfs: the capability CAP_SYS_ADMIN is lacking")
        .with_hint("see PRIVILEGES in holdfast(1); the method 'reflink' does without");
  }
  auto version = run({"btrfs", "--version"}, command_time());
  if (version) return {};
  return std::move(version).error().with_hint("install the package btrfs-progs");
}

Result<std::string> BtrfsStrategy::do_unit(const std::string& image) {
  struct stat status {};
  if (::stat(image.c_str(), &status) != 0) {
    return base::errno_error(errno, "unable to look at '" + base::printable(image) + "'");
  }
  if (!S_ISREG(status.st_mode) || !is_on_btrfs(image)) {
    return Error(ErrorCode::kUnsupported, "'" + base::printable(image) + "' is no file on btrfs")
        .with_hint("see METHODS in holdfast(1) for others");
  }
  // Each subvolume is a device of its own; one that is mounted by a directory in it has no top
  // here.
  for (std::string directory = base::directory_of(image);;
       directory = base::directory_of(directory)) {
    struct stat here {};
    if (::stat(directory.c_str(), &here) != 0 || here.st_dev != status.st_dev) break;
    if (here.st_ino == kTopDirectory) return directory;
    if (directory == "/") break;
  }
  return Error(ErrorCode::kUnsupported,
               "the top of the subvolume with '" + base::printable(image) + "' is not to be seen")
      .with_hint("mount the subvolume, and not a directory in it");
}

std::string BtrfsStrategy::do_place(const std::string& unit, std::size_t index) {
  return (unit == "/" ? "" : unit) + "/." + snapshot_name(index);
}

Result<void> BtrfsStrategy::do_prepare(const JournalSnapshot& /*snapshot*/, Deadline /*deadline*/) {
  return {};
}

Result<void> BtrfsStrategy::do_take(const JournalSnapshot& snapshot, Deadline deadline) {
  auto made =
      run({"btrfs", "subvolume", "snapshot", "-r", snapshot.source, snapshot.path}, deadline);
  if (!made) return std::move(made).error();
  return {};
}

Result<void> BtrfsStrategy::do_remove(const JournalSnapshot& snapshot, Deadline deadline) {
  struct stat status {};
  if (::lstat(snapshot.path.c_str(), &status) != 0) {
    if (errno == ENOENT) return {};
    return base::errno_error(errno, "unable to look at it");
  }
  if (!S_ISDIR(status.st_mode) || status.st_ino != kTopDirectory || !is_on_btrfs(snapshot.path)) {
    return Error(ErrorCode::kRefused, "it is no subvolume, and so not ours");
  }
  // Gone for good when it says so: the journal, on another filesystem, goes next.
  auto deleted = run({"btrfs", "subvolume", "delete", "--commit-after", snapshot.path}, deadline);
  if (!deleted) return std::move(deleted).error();
  return {};
}

}  // namespace holdfast::host::snapshot
