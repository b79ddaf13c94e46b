// SPDX-License-Identifier: MIT
//
// The instant of a container, and what was shown of it.
#include "run/await_record.h"
#include "run/container_run.h"
#include "run/container_state.h"

namespace holdfast::host::run {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Millis;
using base::Result;
using repository::Level;

namespace {

// What the scheduler may take on a busy host, beyond all bounds inside.
constexpr Millis kMargin{2000};
// A container is one unit of freezing, as its filesystems are in a machine.
constexpr std::int64_t kOne = 1;

base::MonoTime now() {
  return std::chrono::steady_clock::now();
}

}  // namespace

Result<void> ContainerRun::freeze() {
  const Deadline deadline = Deadline::in(settings_.freeze_timeout);
  if (has_agent_) {
    const auto answer = agent_.freeze(deadline, stop_);
    if (!answer) return answer.error();
    if (answer->status != 0) {
      return Error(ErrorCode::kGuest,
                   "'holdfastctl freeze' in the container ended with status " +
                       std::to_string(answer->status) +
                       (answer->complaint.empty() ? "" : ": " + answer->complaint));
    }
  }
  if (stop_.stop_requested()) return Error(ErrorCode::kCancelled, "interrupted");
  return container::Freezer(found_.cgroup).freeze(deadline);
}

void ContainerRun::take(WindowOutcome& outcome) {
  const auto begin = now();
  outcome.tried = true;
  auto taken = root_->take(Deadline::in(settings_.snapshot_timeout));
  outcome.transaction = now() - begin;
  if (!taken) outcome.snapshot_error = std::move(taken).error();
}

// The processes first, without which nobody could let go of anything.
void ContainerRun::end_window(WindowOutcome& outcome, bool agent) {
  const auto begin = now();
  auto thawed = container::Freezer(found_.cgroup).thaw(Deadline::in(settings_.thaw_timeout));
  const bool goes_on = thawed.has_value();
  if (goes_on) {
    outcome.thaw_count = outcome.freeze_count;
  } else {
    outcome.thaw_error = std::move(thawed).error();
  }
  if (goes_on && agent) {
    auto answer = agent_.thaw(Deadline::in(settings_.thaw_timeout));
    if (!answer) {
      outcome.thaw_error = std::move(answer).error();
    } else if (answer->status != 0) {
      outcome.hook_status = answer->status;
      outcome.thaw_error =
          Error(ErrorCode::kGuest, "'holdfastctl thaw' in the container ended with status " +
                                       std::to_string(answer->status) + ": " + answer->complaint);
    }
  }
  outcome.thaw_call = now() - begin;
}

// An error only if it could not be thawed: then the guardian goes on.
Result<void> ContainerRun::run_window(Guardian& guardian, WindowOutcome& outcome) {
  const Millis bound =
      settings_.freeze_timeout + settings_.snapshot_timeout + settings_.thaw_timeout * 2 + kMargin;
  if (auto armed = guardian.arm(bound); !armed) return armed;
  outcome.attempted = true;
  outcome.begin = std::chrono::system_clock::now();
  const auto sent = now();
  auto frozen = freeze();
  const auto answered = now();
  outcome.freeze_call = answered - sent;
  if (frozen) {
    outcome.freeze_count = kOne;
    if (!stop_.stop_requested()) {
      take(outcome);
      const auto still = container::Freezer(found_.cgroup).is_frozen();
      outcome.frozen_after = still && *still;
    }
  } else {
    outcome.freeze_error = std::move(frozen).error();
  }
  end_window(outcome, has_agent_);
  const auto ended = now();
  outcome.frozen = ended - answered;
  outcome.total = ended - sent;
  if (!outcome.thaw_error || outcome.hook_status) {
    guardian.dismiss();
    return {};
  }
  // Time for this as well.
  const Millis time = settings_.thaw_timeout * 2;
  (void)guardian.arm(time + kMargin);
  auto released =
      release_container(settings_, processes_, found_.cgroup, has_agent_, Deadline::in(time));
  if (released) guardian.dismiss();
  return released;
}

Result<void> ContainerRun::take_instant() {
  observer_.step("freeze");
  root_->flush_early(Deadline::in(settings_.snapshot_timeout), stop_);
  if (auto saved = save_journal(true); !saved) return saved;
  to_settle_ = true;
  auto guardian = Guardian::start(
      {.vm = settings_.vm, .agent = {}, .release = [this](Deadline deadline) {
         base::SystemProcessRunner processes;
         return release_container(settings_, processes, found_.cgroup, has_agent_, deadline);
       }});
  if (!guardian) return std::move(guardian).error();
  WindowOutcome window;
  if (auto ended = run_window(*guardian, window); !ended) {
    may_be_frozen_ = true;
    return ended;
  }
  if (auto saved = save_journal(false); !saved) return saved;
  if (stop_.stop_requested()) return Error(ErrorCode::kCancelled, "interrupted");
  // Not frozen: only who asked for no more than an instant gets one.
  if (!window.tried && repository::level_named(settings_.require) == Level::kCrash) take(window);
  evidence_.window = std::move(window);
  if (evidence_.window.snapshot_error) {
    const ErrorCode code = evidence_.window.snapshot_error->code();
    return Error(code, "unable to take the snapshot").caused_by(*evidence_.window.snapshot_error);
  }
  return {};
}

void ContainerRun::read_record() {
  if (!has_agent_) return;
  await_record(evidence_, stop_, [this] {
    return agent_.read(settings_.guest_record, kRecordLimit, Deadline::in(settings_.agent_timeout),
                       stop_);
  });
}

Result<void> ContainerRun::judge() {
  verdict_ = decide_level(evidence_);
  if (verdict_.level >= repository::level_named(settings_.require) && evidence_.window.taken()) {
    return {};
  }
  return below_required(verdict_, settings_.require);
}

}  // namespace holdfast::host::run
