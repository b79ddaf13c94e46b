// SPDX-License-Identifier: MIT
#include "repository/lock.h"

#include <fcntl.h>
#include <sys/file.h>

#include <array>
#include <cerrno>

#include "base/text.h"

namespace holdfast::host::repository {

using base::Error;
using base::ErrorCode;
using base::Result;

Result<Lock> Lock::acquire(const std::string& path, const std::string& what) {
  const std::string quoted = "'" + base::printable(path) + "'";
  base::UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) return base::errno_error(errno, "unable to open the lock " + quoted);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return base::errno_error(errno, "unable to lock " + quoted);
    std::array<char, 32> holder{};
    const ssize_t count = ::pread(fd.get(), holder.data(), holder.size() - 1, 0);
    const std::string pid(
        base::trimmed({holder.data(), count > 0 ? static_cast<std::size_t>(count) : 0}));
    return Error(ErrorCode::kLocked, "another run is at work on " + what + ": process " +
                                         (pid.empty() ? "unknown" : base::printable(pid, 20)));
  }
  const std::string pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(fd.get(), 0) != 0 ||
      ::pwrite(fd.get(), pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    return base::errno_error(errno, "unable to write the lock " + quoted);
  }
  return Lock(std::move(fd));
}

}  // namespace holdfast::host::repository
