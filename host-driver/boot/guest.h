// SPDX-License-Identifier: MIT
//
// The conversation with a guest that boots: wait until its agent answers, then let its Holdfast say
// what it knows (holdfastctl prove). The guest is not trusted: all of it is bounded in time and
// size, and printable when it is shown.
//
// Threads: any; blocks as long as the deadline. Errors: kTimedOut and kProcessFailed while it
// boots, and those of the agent; kCancelled.
#pragma once

#include <stop_token>
#include <string>

#include "base/json_codec.h"
#include "boot/machine.h"
#include "qga/agent.h"

namespace holdfast::host::boot {

// QEMU makes the socket and listens; whatever is sent waits until somebody in the guest reads it.
// kProcessFailed if the machine ended before it could be spoken to: it was not tried.
[[nodiscard]] base::Result<qga::Agent> reach_channel(const std::string& socket,
                                                     const Machine& machine,
                                                     base::Deadline deadline,
                                                     const std::stop_token& stop);
[[nodiscard]] base::Result<void> await_agent(qga::Agent& agent, base::Deadline deadline,
                                             const std::stop_token& stop);

struct GuestAnswer {
  // What `holdfastctl prove --json` says; null: there is nobody who could.
  base::Json proof;
  // Why there is nobody: not installed, too old, not allowed.
  std::string silence;
  bool missing = false;  // it is not installed
};

// kProtocol for an answer that is none.
[[nodiscard]] base::Result<GuestAnswer> ask_holdfast(qga::Agent& agent, base::Deadline deadline,
                                                     const std::stop_token& stop);

}  // namespace holdfast::host::boot
