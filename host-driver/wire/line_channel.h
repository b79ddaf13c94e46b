// SPDX-License-Identifier: MIT
//
// A connected stream that carries one message per line, under three bounds: the length of a line,
// a deadline, and a request to stop. What QMP and the guest agent have in common; it knows neither.
//
// Threads: one at a time. Ownership: owns the socket. Errors: kTooLarge for a line beyond the
// limit, kUnreachable at the end of the stream, kTimedOut, kCancelled. After kTooLarge the stream
// has no line to go on with: close it.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace holdfast::host::wire {

class LineChannel {
 public:
  LineChannel(base::UniqueFd fd, std::size_t limit) : fd_(std::move(fd)), limit_(limit) {}

  [[nodiscard]] base::Result<void> send(std::string_view data, base::Deadline deadline);
  // The same, with a descriptor that the other side gets a copy of (SCM_RIGHTS, unix(7)).
  [[nodiscard]] base::Result<void> send_with_fd(std::string_view data, int fd,
                                                base::Deadline deadline);
  // The next line, without its '\n'.
  [[nodiscard]] base::Result<std::string> receive(base::Deadline deadline,
                                                  const std::stop_token& stop);
  // The process at the other end, or 0 if the kernel does not say (SO_PEERCRED, unix(7)).
  [[nodiscard]] pid_t peer() const;

 private:
  // The next line that is there already.
  [[nodiscard]] bool take_line(std::string& line);

  base::UniqueFd fd_;
  std::size_t limit_;
  std::string buffer_;
  std::size_t begin_ = 0;     // of what no line has been made of yet
  std::size_t searched_ = 0;  // no line ends before this
};

}  // namespace holdfast::host::wire
