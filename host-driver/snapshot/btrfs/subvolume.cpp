// SPDX-License-Identifier: MIT
#include "snapshot/btrfs/subvolume.h"

#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <iterator>
#include <sstream>

#include "base/text.h"
#include "base/unique_fd.h"

namespace holdfast::host::snapshot {

using base::Error;
using base::ErrorCode;
using base::Result;

namespace {

// The number of a subvolume's top directory, in each of them (Linux: BTRFS_FIRST_FREE_OBJECTID).
constexpr ino_t kTopDirectory = 256;

Result<btrfs_ioctl_fs_info_args> filesystem_at(const std::string& directory) {
  const base::UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  btrfs_ioctl_fs_info_args info{};
  if (!fd.valid() || ::ioctl(fd.get(), BTRFS_IOC_FS_INFO, &info) != 0) {
    return base::errno_error(errno, "unable to look at " + base::in_quotes(directory));
  }
  return info;
}

}  // namespace

bool may_administer() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> data{};
  return ::syscall(SYS_capget, &header, data.data()) == 0 &&
         (data[CAP_TO_INDEX(CAP_SYS_ADMIN)].effective & CAP_TO_MASK(CAP_SYS_ADMIN)) != 0;
}

Result<void> check_administer() {
  if (may_administer()) return {};
  return Error(ErrorCode::kPermission,
               "unable to delete snapshots of btrfs: the capability CAP_SYS_ADMIN is lacking")
      .with_hint("see PRIVILEGES in holdfast(1)");
}

bool is_on_btrfs(const std::string& path) {
  struct statfs status {};
  return ::statfs(path.c_str(), &status) == 0 &&
         static_cast<unsigned long>(status.f_type) == BTRFS_SUPER_MAGIC;
}

bool is_subvolume(const std::string& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode) &&
         status.st_ino == kTopDirectory && is_on_btrfs(path);
}

std::string subvolume_above(std::string directory) {
  struct stat status {};
  if (::stat(directory.c_str(), &status) != 0) return {};
  // Each subvolume is a device of its own.
  for (;; directory = base::directory_of(directory)) {
    struct stat here {};
    if (::stat(directory.c_str(), &here) != 0 || here.st_dev != status.st_dev) return {};
    if (here.st_ino == kTopDirectory) return directory;
    if (directory == "/") return {};
  }
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
  std::string top = subvolume_above(base::directory_of(path));
  struct stat above {};
  if (!top.empty() && ::stat(top.c_str(), &above) == 0 && above.st_dev == status.st_dev) return top;
  return Error(ErrorCode::kUnsupported,
               "the top of the subvolume with " + base::in_quotes(path) + " is not to be seen")
      .with_hint("mount the subvolume, and not a directory in it");
}

Result<bool> same_filesystem(const std::string& one, const std::string& other) {
  if (!is_on_btrfs(one) || !is_on_btrfs(other)) return false;
  const auto first = filesystem_at(one);
  if (!first) return first.error();
  const auto second = filesystem_at(other);
  if (!second) return second.error();
  return std::equal(std::begin(first->fsid), std::end(first->fsid), std::begin(second->fsid));
}

std::vector<std::string> snapshot_command(const std::string& source, const std::string& path) {
  return {"btrfs", "subvolume", "snapshot", "-r", source, path};
}

std::vector<std::string> delete_command(const std::string& path) {
  return {"btrfs", "subvolume", "delete", "--commit-after", path};
}

Result<bool> check_delete(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return false;
    return base::errno_error(errno, "unable to look at " + base::in_quotes(path));
  }
  if (is_subvolume(path)) return true;
  return Error(ErrorCode::kRefused,
               "'" + base::printable(path) + "' is no subvolume, and so not ours");
}

Result<void> delete_subvolume(base::ProcessRunner& processes, const std::string& path,
                              base::Deadline deadline) {
  auto there = check_delete(path);
  if (there && !*there && ::rmdir(path.c_str()) != 0 && errno == ENOTEMPTY) {
    // One that was being made by a program whose caller was killed: no signal ends it within the
    // call, which has the directory locked for as long as it takes (Linux: fs/btrfs/ioctl.c,
    // btrfs_mksubvol()), and so this one waited for it.
    there = check_delete(path);
  }
  if (!there) return there.error();
  if (!*there) return {};
  const base::ProcessOutcome outcome =
      processes.run({.argv = delete_command(path), .environment = {}, .deadline = deadline});
  if (!outcome.succeeded()) return outcome.as_error("btrfs");
  return {};
}

std::optional<std::uint64_t> exclusive_bytes(base::ProcessRunner& processes,
                                             const std::string& path, base::Deadline deadline) {
  const base::ProcessOutcome outcome =
      processes.run({.argv = {"btrfs", "qgroup", "show", "--raw", "-f", path},
                     .environment = {},
                     .deadline = deadline});
  return outcome.succeeded() ? exclusive_in(outcome.output) : std::nullopt;
}

// "0/257   4210688   16384", with or without a path: the subvolume's own group is of level 0.
std::optional<std::uint64_t> exclusive_in(std::string_view output) {
  std::istringstream lines{std::string(output)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string group;
    std::uint64_t referenced = 0;
    std::uint64_t exclusive = 0;
    if (words >> group >> referenced >> exclusive && group.starts_with("0/")) return exclusive;
  }
  return std::nullopt;
}

}  // namespace holdfast::host::snapshot
