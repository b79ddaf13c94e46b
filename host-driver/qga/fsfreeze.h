// SPDX-License-Identifier: MIT
//
// Freezing and thawing through the guest agent, and the one rule about it: whoever sent a freeze
// thaws, whatever became of the freeze. A freeze that timed out may still happen, since the agent
// works through its channel in order; so nothing is ever sent twice but the thaw.
//
// Threads, errors: as Agent.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>

#include "qga/agent.h"

namespace holdfast::host::qga {

enum class FreezeState { kThawed, kFrozen };

[[nodiscard]] base::Result<FreezeState> freeze_state(Agent& agent, base::Deadline deadline,
                                                     const std::stop_token& stop = {});
// How many filesystems were frozen, or thawed. A hook's refusal is kGuest, see hook_status().
[[nodiscard]] base::Result<std::int64_t> freeze(Agent& agent, base::Deadline deadline,
                                                const std::stop_token& stop);
[[nodiscard]] base::Result<std::int64_t> thaw(Agent& agent, base::Deadline deadline);

// N of "fsfreeze hook has failed with status N" in an agent's error, if that is what it says.
[[nodiscard]] std::optional<int> hook_status(const base::Error& error);
// What the status of Holdfast's shim means (design 3.3); empty for one that is not ours.
[[nodiscard]] std::string hook_status_meaning(int status);

// Tries until the guest says 'thawed', or until the deadline: connects as often as need be, since
// the agent may be restarted meanwhile. On failure a last thaw has been sent blindly. Gives up
// early when nobody serves the socket for ten seconds: then QEMU is gone. `agent`, if there is one,
// is used first and replaced when it is of no use any more.
[[nodiscard]] base::Result<void> thaw_for_sure(std::optional<Agent>& agent,
                                               const wire::Endpoint& endpoint,
                                               base::Deadline deadline);

}  // namespace holdfast::host::qga
