// SPDX-License-Identifier: MIT
//
// Sockets in the filesystem, with deadlines. Every call may block up to its deadline and
// no longer; SIGPIPE is never raised.
#pragma once

#include <sys/socket.h>
#include <sys/types.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace holdfast::base {

// A connected non-blocking socket. A full backlog is waited out up to the deadline.
[[nodiscard]] Result<UniqueFd> connect_unix(const std::string& path, Deadline deadline,
                                            int type = SOCK_STREAM);

// A listening socket with the given mode, in place of a stale one that nobody listens on.
// kBusy if somebody does.
[[nodiscard]] Result<UniqueFd> listen_unix(const std::string& path, mode_t mode);

[[nodiscard]] Result<void> send_all(int fd, std::string_view data, Deadline deadline);

// Appends to `buffer` until it holds a line, and takes that line off it, without its '\n'. What
// came after stays in the buffer for the next call. kTooLarge beyond `limit` bytes without a '\n',
// kUnreachable at the end of the stream, kTimedOut at the deadline.
[[nodiscard]] Result<std::string> receive_line(int fd, std::string& buffer, std::size_t limit,
                                               Deadline deadline);

// Everything up to the end of the stream.
[[nodiscard]] Result<std::string> receive_all(int fd, std::string buffer, std::size_t limit,
                                              Deadline deadline);

}  // namespace holdfast::base
