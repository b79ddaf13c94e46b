// SPDX-License-Identifier: MIT
#include "base/unix_socket.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/text.h"

namespace holdfast::base {

namespace {

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return Error(ErrorCode::kUsage, "unable to use the socket '" + printable(path) +
                                        "': a socket's path has 1 to " +
                                        std::to_string(sizeof address.sun_path - 1) + " bytes");
  }
  std::memcpy(static_cast<char*>(address.sun_path), path.data(), path.size());
  return address;
}

int connect_to(int fd, const sockaddr_un& address) {
  return ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

// Waits for `events`; false at the deadline.
bool wait_for(int fd, short events, Deadline deadline) {
  for (;;) {
    pollfd watched{fd, events, 0};
    const int ready = ::poll(&watched, 1, deadline.poll_timeout());
    if (ready > 0) return true;
    if (ready == 0) return false;
    // uncovered(2): no signal is handled in unit tests; the call that follows says what is wrong
    if (errno != EINTR) return true;
  }
}

}  // namespace

Result<UniqueFd> connect_unix(const std::string& path, Deadline deadline, int type) {
  auto address = address_of(path);
  if (!address) return std::move(address).error();
  const std::string what = "unable to connect to '" + printable(path) + "'";
  UniqueFd fd(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return errno_error(errno, what);
  // A blocking connect with a send timeout waits for a place in the backlog (unix(7)); a
  // non-blocking one fails with EAGAIN and gives nothing to poll for. It ends early when the
  // process is stopped and continues, even without a handler of any signal (signal(7)).
  for (;;) {
    const auto remaining = std::max<Millis>(deadline.remaining(), Millis{1});
    const timeval timeout{remaining.count() / 1000,
                          static_cast<suseconds_t>(remaining.count() % 1000 * 1000)};
    (void)::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    if (connect_to(fd.get(), *address) == 0) break;
    if (errno == EINTR && !deadline.passed()) continue;
    return errno_error(errno == EAGAIN || errno == EINTR ? ETIMEDOUT : errno, what);
  }
  const int flags = ::fcntl(fd.get(), F_GETFL);
  if (flags < 0 || ::fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK) != 0) {
    // uncovered(1): a socket that has just been made has flags
    return errno_error(errno, what);
  }
  return fd;
}

Result<UniqueFd> listen_unix(const std::string& path, mode_t mode) {
  auto address = address_of(path);
  if (!address) return std::move(address).error();
  const std::string what = "unable to listen on '" + printable(path) + "'";
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return errno_error(errno, what);
  struct stat status {};
  if (::lstat(path.c_str(), &status) == 0) {
    if (!S_ISSOCK(status.st_mode)) return Error(ErrorCode::kExists, what + ": not a socket");
    if (connect_to(fd.get(), *address) == 0 || errno == EAGAIN) {
      return Error(ErrorCode::kBusy, what + ": another process listens there");
    }
    if (::unlink(path.c_str()) != 0) return errno_error(errno, what);
    fd.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd.valid()) return errno_error(errno, what);
  }
  // The mode of the socket inode at bind() is that of the descriptor (unix(7), Linux): no moment
  // in which others could connect, and no process-wide umask.
  if (::fchmod(fd.get(), mode) != 0 ||
      ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0 ||
      ::chmod(path.c_str(), mode) != 0 || ::listen(fd.get(), 64) != 0) {
    return errno_error(errno, what);
  }
  return fd;
}

Result<void> send_all(int fd, std::string_view data, Deadline deadline) {
  while (!data.empty()) {
    const ssize_t count = ::send(fd, data.data(), data.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count >= 0) {
      data.remove_prefix(static_cast<std::size_t>(count));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return errno_error(errno, "unable to send");
    if (!wait_for(fd, POLLOUT, deadline)) {
      return Error(ErrorCode::kTimedOut, "unable to send: timed out");
    }
  }
  return {};
}

Result<std::string> receive_line(int fd, std::string& buffer, std::size_t limit,
                                 Deadline deadline) {
  std::size_t searched = 0;
  for (;;) {
    const std::size_t end = buffer.find('\n', searched);
    if (end != std::string::npos) {
      if (end > limit) break;
      std::string line = buffer.substr(0, end);
      buffer.erase(0, end + 1);
      return line;
    }
    if (buffer.size() > limit) break;
    searched = buffer.size();
    std::array<char, 16384> piece{};
    const ssize_t count = ::recv(fd, piece.data(), piece.size(), MSG_DONTWAIT);
    if (count > 0) {
      buffer.append(piece.data(), static_cast<std::size_t>(count));
    } else if (count == 0) {
      return Error(ErrorCode::kUnreachable, "the other side closed the connection");
    } else if (errno == EAGAIN) {
      if (!wait_for(fd, POLLIN, deadline)) {
        return Error(ErrorCode::kTimedOut, "timed out waiting for an answer");
      }
    } else if (errno != EINTR) {  // uncovered(1): a stream of one machine ends, it does not fail
      return errno_error(errno, "unable to receive");
    }
  }
  return Error(ErrorCode::kTooLarge, "a line is longer than " + format_bytes(limit));
}

Result<std::string> receive_all(int fd, std::string buffer, std::size_t limit, Deadline deadline) {
  for (;;) {
    if (buffer.size() > limit) {
      return Error(ErrorCode::kTooLarge, "the answer is longer than " + format_bytes(limit));
    }
    std::array<char, 16384> piece{};
    const ssize_t count = ::recv(fd, piece.data(), piece.size(), MSG_DONTWAIT);
    if (count == 0) return buffer;
    if (count > 0) {
      buffer.append(piece.data(), static_cast<std::size_t>(count));
    } else if (errno == EAGAIN) {
      if (!wait_for(fd, POLLIN, deadline)) {
        return Error(ErrorCode::kTimedOut, "timed out waiting for an answer");
      }
    } else if (errno != EINTR) {  // uncovered(1): a stream of one machine ends, it does not fail
      return errno_error(errno, "unable to receive");
    }
  }
}

}  // namespace holdfast::base
