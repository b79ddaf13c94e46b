// SPDX-License-Identifier: MIT
#include "run/window.h"

#include "qga/fsfreeze.h"
#include "run/channel.h"

namespace holdfast::host::run {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Millis;
using base::Result;

namespace {

// Beyond the sum of all bounds inside: what the scheduler may take on a busy host.
constexpr Millis kMargin{2000};
// How long the driver itself tries to thaw after something went wrong, in thaw-timeouts; the
// guardian goes on from there.
constexpr int kRescueTimes = 2;

base::MonoTime now() {
  return std::chrono::steady_clock::now();
}

Millis window_bound(const config::Settings& settings, const snapshot::Instant& instant,
                    const Meeting* meeting) {
  return settings.freeze_timeout + settings.snapshot_timeout + instant.patience() +
         settings.agent_timeout + settings.thaw_timeout + kMargin +
         (meeting == nullptr ? Millis{0} : meeting->patience());
}

// Alone: at once.
bool all_at(Meeting* meeting, Meeting::Point point) {
  return meeting == nullptr || meeting->arrive(point);
}

void send_home(Meeting* meeting) {
  if (meeting != nullptr) meeting->break_up();
}

Result<void> rescue(const config::Settings& settings, std::optional<qga::Agent>& agent,
                    Guardian& guardian) {
  // Time for this as well; if the guardian is gone, there is all the more reason to go on.
  const Millis time = settings.thaw_timeout * kRescueTimes;
  (void)guardian.arm(time + kMargin);
  return qga::thaw_for_sure(agent, agent_endpoint(settings), Deadline::in(time));
}

void take(const config::Settings& settings, snapshot::Instant& instant, WindowOutcome& outcome) {
  const auto begin = now();
  outcome.tried = true;
  auto taken = instant.take(Deadline::in(settings.snapshot_timeout + instant.patience()));
  outcome.transaction = now() - begin;
  if (!taken) outcome.snapshot_error = std::move(taken).error();
}

// After a thaw that reported an error: did it thaw all the same, as it does when a hook complains?
bool is_thawed(qga::Agent& agent, const config::Settings& settings) {
  const auto state = qga::freeze_state(agent, Deadline::in(settings.agent_timeout));
  return state && *state == qga::FreezeState::kThawed;
}

Result<void> end_window(const config::Settings& settings, std::optional<qga::Agent>& agent,
                        Guardian& guardian, WindowOutcome& outcome) {
  const auto begin = now();
  auto thawed = qga::thaw(*agent, Deadline::in(settings.thaw_timeout));
  outcome.thaw_call = now() - begin;
  if (thawed) {
    outcome.thaw_count = *thawed;
    return {};
  }
  outcome.hook_status = qga::hook_status(thawed.error());
  outcome.thaw_error = std::move(thawed).error();
  if (outcome.thaw_error->code() == ErrorCode::kGuest && is_thawed(*agent, settings)) return {};
  return rescue(settings, agent, guardian);
}

}  // namespace

Result<WindowOutcome> run_window(const config::Settings& settings, std::optional<qga::Agent>& agent,
                                 Guardian& guardian, snapshot::Instant& instant, Meeting* meeting,
                                 const std::stop_token& stop) {
  WindowOutcome outcome;
  if (!all_at(meeting, Meeting::Point::kReady)) return outcome;
  if (auto armed = guardian.arm(window_bound(settings, instant, meeting)); !armed) {
    send_home(meeting);
    return std::move(armed).error();
  }
  outcome.attempted = true;
  outcome.begin = std::chrono::system_clock::now();
  const auto sent = now();
  auto frozen = qga::freeze(*agent, Deadline::in(settings.freeze_timeout), stop);
  const auto answered = now();
  outcome.freeze_call = answered - sent;

  Result<void> thawed;
  if (!frozen) {
    outcome.freeze_error = std::move(frozen).error();
    send_home(meeting);
    // It may still come true, or have left a lock behind: thaw all the same.
    thawed = rescue(settings, agent, guardian);
  } else {
    outcome.freeze_count = *frozen;
    if (*frozen == 0 || stop.stop_requested()) {
      send_home(meeting);
    } else if (all_at(meeting, Meeting::Point::kFrozen)) {
      take(settings, instant, outcome);
      if (!outcome.taken()) send_home(meeting);
      // Whether they all were is the meeting's to know: this one is thawed in any case.
      (void)all_at(meeting, Meeting::Point::kTaken);
      const auto state = qga::freeze_state(*agent, Deadline::in(settings.agent_timeout));
      outcome.frozen_after = state && *state == qga::FreezeState::kFrozen;
    }
    thawed = end_window(settings, agent, guardian, outcome);
  }
  const auto ended = now();
  outcome.frozen = ended - answered;
  outcome.total = ended - sent;
  if (!thawed) {
    // The guardian goes on trying, and the agent's socket serves one client.
    agent.reset();
    return std::move(thawed).error();
  }
  guardian.dismiss();
  return outcome;
}

WindowOutcome take_unfrozen(const config::Settings& settings, snapshot::Instant& instant,
                            WindowOutcome before) {
  if (!before.attempted) before.begin = std::chrono::system_clock::now();
  take(settings, instant, before);
  return before;
}

}  // namespace holdfast::host::run
