// SPDX-License-Identifier: MIT
#include "wire/line_channel.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstdint>

#include "base/text.h"
#include "base/unix_socket.h"

namespace holdfast::host::wire {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Result;

Result<void> LineChannel::send(std::string_view data, Deadline deadline) {
  return base::send_all(fd_.get(), data, deadline);
}

bool LineChannel::take_line(std::string& line) {
  const std::size_t end = buffer_.find('\n', searched_);
  if (end == std::string::npos) {
    searched_ = buffer_.size();
    return false;
  }
  line = buffer_.substr(0, end);
  buffer_.erase(0, end + 1);
  searched_ = 0;
  return true;
}

Result<std::string> LineChannel::receive(Deadline deadline, const std::stop_token& stop) {
  const base::UniqueFd stopped(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  const std::stop_callback on_stop(stop, [&] {
    const std::uint64_t one = 1;
    (void)!::write(stopped.get(), &one, sizeof one);
  });
  std::string line;
  for (;;) {
    if (take_line(line)) {
      if (line.size() > limit_) break;
      return line;
    }
    if (buffer_.size() > limit_) break;
    std::array<pollfd, 2> watched{{{fd_.get(), POLLIN, 0}, {stopped.get(), POLLIN, 0}}};
    const int ready = ::poll(watched.data(), watched.size(), deadline.poll_timeout());
    if (ready < 0 && errno != EINTR) return base::errno_error(errno, "unable to wait");
    if ((watched[1].revents & POLLIN) != 0) return Error(ErrorCode::kCancelled, "interrupted");
    if (ready == 0) return Error(ErrorCode::kTimedOut, "timed out waiting for an answer");
    if (ready < 0) continue;
    std::array<char, 16384> piece{};
    const ssize_t count = ::recv(fd_.get(), piece.data(), piece.size(), MSG_DONTWAIT);
    if (count > 0) {
      buffer_.append(piece.data(), static_cast<std::size_t>(count));
    } else if (count == 0) {
      return Error(ErrorCode::kUnreachable, "the other side closed the connection");
    } else if (errno == ECONNRESET) {
      return Error(ErrorCode::kUnreachable, "the other side reset the connection");
    } else if (errno != EAGAIN && errno != EINTR) {
      return base::errno_error(errno, "unable to receive");
    }
    // A stream that never pauses must not outlast the deadline either.
    if (deadline.passed() && buffer_.find('\n', searched_) == std::string::npos) {
      return Error(ErrorCode::kTimedOut, "timed out waiting for an answer");
    }
  }
  return Error(ErrorCode::kTooLarge, "a line is longer than " + base::format_bytes(limit_));
}

pid_t LineChannel::peer() const {
  ucred credentials{};
  socklen_t length = sizeof credentials;
  if (::getsockopt(fd_.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) return 0;
  return credentials.pid;
}

}  // namespace holdfast::host::wire
