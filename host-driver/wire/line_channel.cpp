// SPDX-License-Identifier: MIT
#include "wire/line_channel.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/text.h"
#include "base/unix_socket.h"
#include "base/waker.h"

namespace holdfast::host::wire {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Result;

Result<void> LineChannel::send(std::string_view data, Deadline deadline) {
  return base::send_all(fd_.get(), data, deadline);
}

Result<void> LineChannel::send_with_fd(std::string_view data, int fd, Deadline deadline) {
  iovec piece{const_cast<char*>(data.data()), data.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* const rights = CMSG_FIRSTHDR(&message);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof fd);
  std::memcpy(CMSG_DATA(rights), &fd, sizeof fd);
  for (;;) {
    const ssize_t count = ::sendmsg(fd_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    // The descriptor went with the first byte.
    if (count >= 0) return send(data.substr(static_cast<std::size_t>(count)), deadline);
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return base::errno_error(errno, "unable to send a descriptor");
    base::Waker waker;
    if (auto ready = waker.wait(fd_.get(), POLLOUT, deadline, {}); !ready) return ready;
  }
}

bool LineChannel::take_line(std::string& line) {
  const std::size_t end = buffer_.find('\n', searched_);
  if (end == std::string::npos) {
    // Moved together once per piece received, not once per line: a flood of empty lines would cost
    // the square of its size.
    buffer_.erase(0, begin_);
    begin_ = 0;
    searched_ = buffer_.size();
    return false;
  }
  line = buffer_.substr(begin_, end - begin_);
  begin_ = searched_ = end + 1;
  return true;
}

Result<std::string> LineChannel::receive(Deadline deadline, const std::stop_token& stop) {
  std::string line;
  if (take_line(line)) return line;
  // After the line that is there already: a flood of short ones must not cost a descriptor each.
  base::Waker waker;
  while (buffer_.size() <= limit_) {
    if (auto ready = waker.wait(fd_.get(), POLLIN, deadline, stop); !ready) {
      if (ready.error().code() == ErrorCode::kTimedOut) {
        return Error(ErrorCode::kTimedOut, "timed out waiting for an answer");
      }
      return std::move(ready).error();
    }
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
    if (take_line(line)) return line;
    // A stream that never pauses must not outlast the deadline either.
    if (deadline.passed()) return Error(ErrorCode::kTimedOut, "timed out waiting for an answer");
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
