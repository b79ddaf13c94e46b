// SPDX-License-Identifier: MIT
#include "redis/redis_hold.h"

#include <utility>

namespace holdfast::redis {

namespace {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Millis;
using base::Result;

constexpr Millis kLastResortTime{1000};
// The dead-man's own work (thaw-timeout) comes after max-hold, and the server counts by the wall
// clock.
constexpr Millis kBoundMargin{10000};

}  // namespace

Millis pause_bound(const api::Window& window) {
  return window.max_hold + kBoundMargin;
}

api::Identity identity_of(const ServerState& state, const WritePause& pause) {
  return {state.engine, state.version, state.run_id, std::to_string(pause.witness().id())};
}

RedisHold::RedisHold(WritePause& pause, std::string resource, ServerState state,
                     api::Position details, std::vector<std::string> warnings)
    : pause_(pause),
      resource_(std::move(resource)),
      state_(std::move(state)),
      identity_(identity_of(state_, pause_)),
      position_(position_of(state_)),
      details_(std::move(details)),
      warnings_(std::move(warnings)) {}

RedisHold::~RedisHold() {
  (void)release(Deadline::in(kLastResortTime));
}

Error RedisHold::lost(Error cause) const {
  return Error(ErrorCode::kHoldLost, "the pause of writes on '" + resource_ + "' was lost")
      .caused_by(std::move(cause));
}

Result<api::Position> RedisHold::check(Deadline deadline) {
  if (released_) return lost(Error(ErrorCode::kHoldLost, "it is released already"));
  const Patience patience{.deadline = deadline};
  if (auto proven = pause_.prove(patience); !proven) return lost(std::move(proven).error());
  auto now = pause_.control().state(patience);
  if (!now) return lost(std::move(now).error());
  const std::string changed = difference(state_, *now);
  if (!changed.empty()) return lost(Error(ErrorCode::kHoldLost, changed));
  return position_of(*now);
}

Result<void> RedisHold::extend(const api::Window& window, Deadline deadline) {
  auto extended = pause_.extend(state_.run_id, pause_bound(window), {.deadline = deadline});
  if (extended) return extended;
  return base::wrap(std::move(extended).error(),
                    "unable to extend the pause of writes on '" + resource_ + "'");
}

Result<void> RedisHold::release(Deadline deadline) {
  if (std::exchange(released_, true)) return {};
  // Whatever was interrupted before: writers wait.
  auto ended = pause_.end({.deadline = deadline, .deaf = true});
  if (ended) return ended;
  return base::wrap(std::move(ended).error(),
                    "unable to end the pause of writes on '" + resource_ + "'")
      .with_hint("it ends by itself, " + std::to_string(kBoundMargin.count() / 1000) +
                 " s after max-hold at the latest");
}

}  // namespace holdfast::redis
