// SPDX-License-Identifier: MIT
#include "wire/private_directory.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <utility>

#include "base/text.h"

namespace holdfast::host::wire {

using base::Result;
using base::UniqueFd;

namespace {

// One that clears up may take our new directory for a dead one's, before we have locked it.
constexpr int kAttempts = 5;

UniqueFd open_and_lock(const std::string& directory) {
  UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid() || ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return UniqueFd();
  struct stat status {};
  const bool ours =
      ::fstat(fd.get(), &status) == 0 && status.st_uid == ::geteuid() && status.st_nlink > 0;
  return ours ? std::move(fd) : UniqueFd();
}

// Follows no link.
void remove_directory(const std::string& directory) {
  std::error_code problem;
  (void)std::filesystem::remove_all(directory, problem);
}

// Nobody holds the lock of a directory whose maker is dead.
void clear_up(const std::string& below, const std::string& prefix) {
  std::error_code problem;
  auto entry = std::filesystem::directory_iterator(below, problem);
  for (; !problem && entry != std::filesystem::directory_iterator(); entry.increment(problem)) {
    if (!entry->path().filename().string().starts_with(prefix)) continue;
    const std::string directory = entry->path().string();
    if (const UniqueFd lock = open_and_lock(directory); lock.valid()) remove_directory(directory);
  }
}

}  // namespace

PrivateDirectory::PrivateDirectory(std::string path, UniqueFd lock)
    : path_(std::move(path)), lock_(std::move(lock)) {}

PrivateDirectory::PrivateDirectory(PrivateDirectory&& other) noexcept
    : path_(std::exchange(other.path_, {})), lock_(std::move(other.lock_)) {}

PrivateDirectory::~PrivateDirectory() {
  if (!path_.empty()) remove_directory(path_);
}

Result<PrivateDirectory> PrivateDirectory::make(const std::string& below,
                                                const std::string& prefix) {
  clear_up(below, prefix);
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    std::string path = below + "/" + prefix + "XXXXXX";
    // Mode 0700 (mkdtemp(3)).
    if (::mkdtemp(path.data()) == nullptr) {
      return base::errno_error(errno,
                               "unable to make a directory in '" + base::printable(below) + "'");
    }
    if (UniqueFd lock = open_and_lock(path); lock.valid()) {
      return PrivateDirectory(std::move(path), std::move(lock));
    }
  }
  return base::Error(base::ErrorCode::kBusy,
                     "unable to lock a new directory in '" + base::printable(below) + "'");
}

}  // namespace holdfast::host::wire
