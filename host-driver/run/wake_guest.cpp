// SPDX-License-Identifier: MIT
#include "run/wake_guest.h"

#include <chrono>
#include <optional>

#include "qga/agent.h"
#include "qga/fsfreeze.h"
#include "run/channel.h"

namespace holdfast::host::run {

using base::Deadline;

Woken wake_guest(const config::Settings& settings, const std::stop_token& stop) {
  if (settings.agent.empty()) {
    const std::string why = "no agent socket is configured";
    return {why, why};
  }
  std::optional<qga::Agent> agent;
  const auto thawed =
      qga::thaw_for_sure(agent, agent_endpoint(settings), Deadline::in(settings.thaw_timeout * 2));
  if (!thawed) return {thawed.error().one_line(), "the guest is frozen"};
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto set =
      agent->execute("guest-set-time",
                     {{"time", std::chrono::duration_cast<std::chrono::nanoseconds>(now).count()}},
                     Deadline::in(settings.agent_timeout * 2), stop);
  return {{}, set ? std::string() : set.error().one_line()};
}

}  // namespace holdfast::host::run
