// SPDX-License-Identifier: MIT
#include "command/private_socket.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/text.h"
#include "base/unix_socket.h"

namespace holdfast::host::command {

using base::Result;
using base::UniqueFd;

namespace {

constexpr std::string_view kPrefix = "holdfast-export.";
constexpr const char* kSocketName = "nbd";
// One that clears up may take our new directory for a dead one's, before we have locked it.
constexpr int kAttempts = 5;

std::string runtime_directory() {
  if (const char* own = ::getenv("XDG_RUNTIME_DIR"); own != nullptr && own[0] == '/') return own;
  return ::access("/run", W_OK) == 0 ? "/run" : "/tmp";
}

UniqueFd open_and_lock(const std::string& directory) {
  UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid() || ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return UniqueFd();
  struct stat status {};
  const bool ours =
      ::fstat(fd.get(), &status) == 0 && status.st_uid == ::geteuid() && status.st_nlink > 0;
  return ours ? std::move(fd) : UniqueFd();
}

void remove_directory(const std::string& directory) {
  (void)::unlink((directory + "/" + kSocketName).c_str());
  (void)::rmdir(directory.c_str());
}

// Nobody holds the lock of a directory whose maker is dead.
void clear_up(const std::string& below) {
  std::error_code problem;
  auto entry = std::filesystem::directory_iterator(below, problem);
  for (; !problem && entry != std::filesystem::directory_iterator(); entry.increment(problem)) {
    if (!entry->path().filename().string().starts_with(kPrefix)) continue;
    const std::string directory = entry->path().string();
    if (const UniqueFd lock = open_and_lock(directory); lock.valid()) remove_directory(directory);
  }
}

}  // namespace

PrivateSocket::PrivateSocket(std::string directory, UniqueFd lock)
    : directory_(std::move(directory)),
      path_(directory_ + "/" + kSocketName),
      lock_(std::move(lock)) {}

PrivateSocket::PrivateSocket(PrivateSocket&& other) noexcept
    : directory_(std::exchange(other.directory_, {})),
      path_(std::move(other.path_)),
      lock_(std::move(other.lock_)),
      socket_(std::move(other.socket_)) {}

PrivateSocket::~PrivateSocket() {
  if (!directory_.empty()) remove_directory(directory_);
}

Result<PrivateSocket> PrivateSocket::listen() {
  const std::string below = runtime_directory();
  clear_up(below);
  UniqueFd lock;
  std::string directory;
  for (int attempt = 0; !lock.valid() && attempt < kAttempts; ++attempt) {
    directory = below + "/" + std::string(kPrefix) + "XXXXXX";
    // Mode 0700 (mkdtemp(3)).
    if (::mkdtemp(directory.data()) == nullptr) {
      return base::errno_error(errno,
                               "unable to make a directory in '" + base::printable(below) + "'");
    }
    lock = open_and_lock(directory);
  }
  if (!lock.valid()) {
    return base::Error(base::ErrorCode::kBusy,
                       "unable to lock a new directory in '" + base::printable(below) + "'");
  }
  PrivateSocket made(std::move(directory), std::move(lock));
  auto socket = base::listen_unix(made.path_, 0600);
  if (!socket) return std::move(socket).error();
  made.socket_ = std::move(*socket);
  return made;
}

}  // namespace holdfast::host::command
