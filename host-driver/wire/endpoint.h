// SPDX-License-Identifier: MIT
//
// Where the other side of a conversation is: a unix socket, or a program that is started for it and
// speaks the same words on its standard input and output. Libvirt owns the sockets of its machines:
// there a program of ours stands between. It can hang in a call to libvirt, and this process
// cannot; it is given up by closing the connection.
//
// The program is no child of this process: it leads a session of its own, ends by itself at the end
// of its input, and outlives a caller that was killed by no more than that takes.
//
// Threads: open_endpoint() from any thread, and from a process that was forked and never executed.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace holdfast::host::wire {

struct Endpoint {
  Endpoint() = default;
  // What most endpoints are.
  Endpoint(std::string socket_path)  // not explicit: a path may stand for its endpoint
      : path(std::move(socket_path)) {}
  Endpoint(const char* socket_path) : path(socket_path) {}  // the same
  Endpoint(std::vector<std::string> argv, std::string described)
      : program(std::move(argv)), name(std::move(described)) {}

  [[nodiscard]] bool empty() const { return path.empty() && program.empty(); }
  // "guest agent '/run/vm/web1.qga'"; for a program its own name.
  [[nodiscard]] std::string described_as(const std::string& what) const;

  std::string path;
  // argv[0] is a path.
  std::vector<std::string> program;
  std::string name;
};

// kUnreachable, and for a program that cannot be run the reason.
[[nodiscard]] base::Result<base::UniqueFd> open_endpoint(const Endpoint& endpoint,
                                                         base::Deadline deadline);

}  // namespace holdfast::host::wire
