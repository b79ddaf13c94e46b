// SPDX-License-Identifier: MIT
//
// A drill: the steps of a freeze and of its thaw, with nothing frozen in between. What sets it
// apart is what it leaves behind: no sequence number, no record where the host looks, no marker. A
// host that compares the record before its freeze with the one after sees nothing of a drill
// between.
#include <utility>

#include "core/coordinator.h"

namespace holdfast::core {

using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;

Drilled Coordinator::drill(const std::stop_token& given_up) {
  if (state_ != State::kIdle || owes_thaw()) {
    return {Error(ErrorCode::kBusy, is_open(state_)
                                        ? "unable to drill: a window is open"
                                        : "unable to drill: the thaw of a window that was lost is "
                                          "still to come")
                .with_hint(is_open(state_) ? "" : "holdfastctl thaw, if no host is going to")};
  }
  const Error gave_way(ErrorCode::kCancelled, "the drill was given up: a freeze or thaw came");
  if (given_up.stop_requested()) return {gave_way};
  settle();
  kind_ = WindowKind::kDrill;
  drilled_ = Json::object();
  budget(settings_.freeze_timeout);
  failure_.reset();
  world_.ring.hold();
  drive(Event::kFreeze, given_up);
  if (state_ == State::kHeld) {
    budget(settings_.thaw_timeout);
    drive(Event::kThaw, {});
  } else if (failure_ && given_up.stop_requested()) {
    failure_ = gave_way;
  }
  kind_ = WindowKind::kFreeze;
  Drilled drilled;
  drilled.record = std::exchange(drilled_, Json::object());
  if (auto failure = std::exchange(failure_, std::nullopt)) drilled.outcome = std::move(*failure);
  return drilled;
}

Result<void> Coordinator::write_held() {
  const Json json = to_json(window_->record());
  const base::Deadline deadline(budget_end_ - reserve_);
  return kind_ == WindowKind::kDrill ? world_.journal.write_drill(json, deadline)
                                     : world_.journal.write_held(json, deadline);
}

void Coordinator::conclude_drill() {
  drilled_ = to_json(window_->record());
  if (auto written = world_.journal.write_drill(drilled_, base::Deadline(budget_end_)); !written) {
    world_.log.warn("{}{}, continuing", run_tag(), written.error().one_line());
  }
  {
    const std::lock_guard lock(shown_mutex_);
    shown_.window.clear();
  }
  window_.reset();
}

}  // namespace holdfast::core
