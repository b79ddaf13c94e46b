// SPDX-License-Identifier: MIT
//
// guest-exec: a program in the guest, and what it says. The guest is not trusted: the whole takes
// no longer than the deadline, and one answer of the agent is bounded (Agent), so that what a
// program may say before it is too much is some 700 KiB.
//
// Threads, errors: as Agent; kUnsupported where the agent may not do so, kNotFound for a program
// that the guest does not have.
#pragma once

#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "qga/agent.h"

namespace holdfast::host::qga {

struct Ran {
  // Of a program that ended by itself; else the signal that ended it.
  std::optional<int> status;
  std::optional<int> signal;
  // As they are: whoever shows them makes them printable.
  std::string output;
  std::string error_output;
  bool truncated = false;  // of either, by the agent
};

// The agent may take as long for an answer: a guest with too much to do is no other guest. A
// program that has not ended by the deadline goes on in the guest: kTimedOut.
[[nodiscard]] base::Result<Ran> run_in_guest(Agent& agent, const std::vector<std::string>& words,
                                             base::Deadline deadline, const std::stop_token& stop);

// The value of "return" of guest-exec-status (QEMU: qga/qapi-schema.json, GuestExecStatus); nothing
// as long as the program runs. kProtocol for what is none.
[[nodiscard]] base::Result<std::optional<Ran>> parse_exec_status(const base::Json& answer);

}  // namespace holdfast::host::qga
