// SPDX-License-Identifier: MIT
#include "repository/use.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <set>

#include "base/text.h"
#include "repository/chain.h"
#include "repository/paths.h"

namespace holdfast::host::repository {

using base::Error;
using base::ErrorCode;
using base::Result;
using base::UniqueFd;

namespace {

std::string manifest_in(const std::string& directory) {
  return directory + "/" + std::string(kManifestName);
}

// Opened before it was locked: is it still what stands under the name?
bool still_there(int fd, const std::string& path) {
  struct stat opened {};
  struct stat named {};
  return ::fstat(fd, &opened) == 0 && ::lstat(path.c_str(), &named) == 0 &&
         opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

Result<UniqueFd> use_one(const std::string& directory) {
  const std::string path = manifest_in(directory);
  const std::string what = "unable to use the backup '" + base::printable(directory) + "'";
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid()) return base::errno_error(errno, what);
  if (::flock(fd.get(), LOCK_SH | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return base::errno_error(errno, what);
    return Error(ErrorCode::kLocked, what + ": it is being removed");
  }
  if (!still_there(fd.get(), path)) {
    return Error(ErrorCode::kNotFound, what + ": it was removed just now");
  }
  return fd;
}

}  // namespace

Result<Use> Use::of(const Repository& repository, const Backup& backup,
                    const std::vector<DiskEntry>& disks) {
  std::set<std::string> directories{backup.directory};
  for (const DiskEntry& disk : disks) {
    const auto images = images_of(repository, backup, disk);
    if (!images) return images.error();
    for (const StoredImage& image : *images)
      directories.insert(image.directory);
  }
  std::vector<UniqueFd> manifests;
  for (const std::string& directory : directories) {
    auto fd = use_one(directory);
    if (!fd) return std::move(fd).error();
    manifests.push_back(std::move(*fd));
  }
  return Use(std::move(manifests));
}

bool is_used(const std::string& directory) {
  const auto claimed = claim(directory);
  return !claimed && claimed.error().code() == ErrorCode::kLocked;
}

Result<UniqueFd> claim(const std::string& directory) {
  const std::string what = "unable to remove '" + base::printable(directory) + "'";
  // For writing: over NFS, flock(2) becomes a lock of fcntl(2), which asks for that.
  UniqueFd fd(::open(manifest_in(directory).c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid()) return base::errno_error(errno, what);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
  if (errno != EWOULDBLOCK) return base::errno_error(errno, what);
  return Error(ErrorCode::kLocked, what + ": somebody is reading it");
}

}  // namespace holdfast::host::repository
