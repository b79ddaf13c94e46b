// SPDX-License-Identifier: MIT
#include "snapshot/room.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <utility>

#include "base/text.h"
#include "base/unique_fd.h"

namespace holdfast::host::snapshot {

using base::Error;
using base::ErrorCode;
using base::Result;

namespace {

// Of a qcow2 image as qemu-img makes it, and what a backup job copies at once.
constexpr std::uint64_t kCluster = 65536;
constexpr std::uint64_t kSpare = std::uint64_t{4} << 20U;

// In whole clusters, the parts of a sparse file that are no holes.
std::uint64_t clusters_in(int fd, std::uint64_t size) {
  std::uint64_t clusters = 0;
  std::uint64_t counted_to = 0;
  off_t at = 0;
  while ((at = ::lseek(fd, at, SEEK_DATA)) >= 0) {
    const off_t end = ::lseek(fd, at, SEEK_HOLE);
    if (end < 0) break;
    const auto first = std::max(static_cast<std::uint64_t>(at) / kCluster, counted_to);
    const auto last = (static_cast<std::uint64_t>(end) + kCluster - 1) / kCluster;
    if (last > first) clusters += last - first;
    counted_to = std::max(counted_to, last);
    at = end;
  }
  return std::min(clusters * kCluster, size);
}

// Tables of 8 bytes for each cluster and their reference counts, with all of them in use.
std::uint64_t with_tables(const qmp::Disk& disk, std::uint64_t data) {
  return data + disk.virtual_size / 4096 + kSpare;
}

}  // namespace

std::uint64_t data_of(const qmp::Disk& disk) {
  const std::uint64_t told = std::min(disk.actual_size, disk.virtual_size);
  const qmp::ImageLayer& layer = disk.chain.front();
  if (disk.chain.size() > 1 || layer.format != "raw") return told;
  const base::UniqueFd fd(::open(layer.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status {};
  if (!fd.valid() || ::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) return told;
  return std::max(told, clusters_in(fd.get(), disk.virtual_size));
}

std::uint64_t data_of_changes(const qmp::Disk& disk, std::uint64_t changed) {
  struct stat status {};
  const bool tells =
      ::stat(disk.chain.front().path.c_str(), &status) == 0 && S_ISREG(status.st_mode);
  return std::min(changed, tells ? data_of(disk) : disk.virtual_size);
}

std::uint64_t data_to_copy(const qmp::Disk& disk, const DiskPlan& plan) {
  return plan.increment() ? data_of_changes(disk, plan.changed) : disk.actual_size;
}

std::uint64_t room_for(const qmp::Disk& disk) {
  return with_tables(disk, data_of(disk));
}

std::uint64_t room_for_changes(const qmp::Disk& disk, std::uint64_t changed) {
  return with_tables(disk, data_of_changes(disk, changed));
}

Result<void> check_free(const std::vector<Wanted>& wanted, const std::string& purpose,
                        const std::string& hint) {
  const auto quoted = [](const std::string& path) { return "'" + base::printable(path) + "'"; };
  std::map<dev_t, Wanted> filesystems;
  for (const Wanted& one : wanted) {
    struct stat status {};
    if (::stat(one.directory.c_str(), &status) != 0) {
      return base::errno_error(errno, "unable to " + purpose + " " + quoted(one.directory));
    }
    Wanted& sum = filesystems[status.st_dev];
    sum.directory = one.directory;
    sum.bytes += one.bytes;
  }
  for (const auto& [device, sum] : filesystems) {
    struct statvfs status {};
    if (::statvfs(sum.directory.c_str(), &status) != 0) {
      return base::errno_error(errno,
                               "unable to ask for the free space of " + quoted(sum.directory));
    }
    const std::uint64_t free = static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize;
    if (free >= sum.bytes) continue;
    return Error(ErrorCode::kNoSpace, "unable to " + purpose + " " + quoted(sum.directory) + ": " +
                                          base::format_bytes(free) + " free, " +
                                          base::format_bytes(sum.bytes) + " wanted")
        .with_hint(hint);
  }
  return {};
}

Result<void> reserve_room(const std::string& path, std::uint64_t bytes) {
  const base::UniqueFd fd(::open(path.c_str(), O_WRONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid()) {
    return base::errno_error(errno, "unable to open '" + base::printable(path) + "'");
  }
  int problem = 0;
  do {
    problem =
        ::fallocate(fd.get(), FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(bytes)) == 0 ? 0 : errno;
  } while (problem == EINTR);
  if (problem == 0 || problem == EOPNOTSUPP || problem == ENOSYS) return {};
  return base::errno_error(problem, "unable to set aside " + base::format_bytes(bytes) + " for '" +
                                        base::printable(path) + "'");
}

Result<void> release_room(const std::string& path) {
  struct stat status {};
  // To its own size: blocks beyond the end go, and nothing else.
  if (::stat(path.c_str(), &status) != 0 || ::truncate(path.c_str(), status.st_size) != 0) {
    return base::errno_error(errno, "unable to give back room of '" + base::printable(path) + "'");
  }
  return {};
}

}  // namespace holdfast::host::snapshot
