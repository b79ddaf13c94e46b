// SPDX-License-Identifier: MIT
#include "redis/write_pause.h"

#include <utility>

namespace holdfast::redis {

namespace {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Millis;
using base::Result;

constexpr Millis kLookInterval{2};
// How long a command that executes nothing may stay without an answer before it counts as paused.
constexpr Millis kAnnounceTime{1000};

Error paused_by_others() {
  return Error(ErrorCode::kBusy, "writes are paused by somebody else already")
      .with_hint("wait until that CLIENT PAUSE ends, or end it with CLIENT UNPAUSE");
}

bool is_gone(ErrorCode code) {
  return code == ErrorCode::kUnreachable || code == ErrorCode::kNotFound;
}

}  // namespace

Result<ServerState> WritePause::ask_or_open(const Patience& patience) {
  if (control_.usable() && witness_.usable() && !control_.awaits_reply() &&
      !witness_.awaits_reply() && !witness_.hung_up()) {
    auto state = control_.state(patience);
    if (state) return state;
  }
  close();
  auto begun = witness_.begin(*settings_, patience);
  if (begun) begun = control_.begin(*settings_, patience);
  Result<ServerState> state =
      begun ? control_.state(patience) : Result<ServerState>(std::move(begun).error());
  if (!state) close();
  return state;
}

Result<ServerState> WritePause::connect(const ConnectSettings& settings, const Patience& patience) {
  settings_ = &settings;
  // An interrupt from before this call has had its effect: the sessions are shut down.
  waker_.reset();
  auto state = ask_or_open(patience);
  if (!state) return state;
  if (auto ended = end_leftover(*state, patience); !ended) {
    close();
    return std::move(ended).error();
  }
  return state;
}

Result<void> WritePause::end_leftover(const ServerState& state, const Patience& patience) {
  const auto run_id = note_.read();
  if (run_id == state.run_id) {
    if (auto ended = control_.unpause(patience); !ended) return ended;
  }
  note_.forget();
  return {};
}

Result<void> WritePause::check_privileges(bool saves, const Patience& patience) {
  auto allowed = control_.check_control_privileges(saves, patience);
  if (!allowed) return allowed;
  const Deadline deadline = Deadline::in(kAnnounceTime).earlier_of(patience.deadline);
  allowed = witness_.check_announce_privilege({.deadline = deadline, .stop = patience.stop});
  if (allowed || allowed.error().code() != ErrorCode::kTimedOut) return allowed;
  auto waiting = control_.is_kept_waiting(witness_.id(), patience);
  return waiting && *waiting ? paused_by_others() : std::move(allowed).error();
}

void WritePause::close() {
  control_.close();
  witness_.close();
}

Result<WritePause::Witnessed> WritePause::send_witness(const Patience& patience) {
  if (auto sent = witness_.send_announcement(patience); !sent) return std::move(sent).error();
  for (;;) {
    // The server works them off one after the other, but may take this one first.
    const Deadline soon = Deadline::in(kLookInterval).earlier_of(patience.deadline);
    auto input = witness_.await_input({.deadline = soon, .stop = patience.stop});
    if (input) {
      auto taken = witness_.take_announcement(patience);
      if (!taken) return std::move(taken).error();
      return Witnessed::kAnswered;
    }
    if (input.error().code() != ErrorCode::kTimedOut || patience.deadline.passed()) {
      return std::move(input).error();
    }
    auto waiting = control_.is_kept_waiting(witness_.id(), patience);
    if (!waiting) return std::move(waiting).error();
    if (*waiting) return Witnessed::kWaiting;
  }
}

Result<void> WritePause::establish(Millis bound, const Patience& patience) {
  if (auto paused = control_.pause_writes(bound, patience); !paused) return paused;
  auto witnessed = send_witness(patience);
  if (!witnessed) return std::move(witnessed).error();
  if (*witnessed == Witnessed::kWaiting) return {};
  return Error(ErrorCode::kRefused, "the server took CLIENT PAUSE, but does not hold writes");
}

Result<void> WritePause::begin(const std::string& run_id, Millis bound, const Patience& patience) {
  if (!control_.usable() || !witness_.usable()) {
    return Error(ErrorCode::kUnreachable, "not connected");
  }
  auto before = send_witness(patience);
  if (!before || *before == Witnessed::kWaiting) {
    close();
    return before ? paused_by_others() : std::move(before).error();
  }
  // First the note, then the pause: whatever happens in between, nothing stays paused.
  auto done = note_.write(run_id, bound);
  if (!done) return done;
  begun_ = true;
  done = establish(bound, patience);
  if (!done) abandon();
  return done;
}

Result<void> WritePause::prove(const Patience& patience) {
  const auto lost = [](const std::string& how) { return Error(ErrorCode::kHoldLost, how); };
  if (!begun_) return lost("writes are not paused any more");
  if (!witness_.usable() || witness_.hung_up()) {
    return lost("session " + std::to_string(witness_.id()) +
                ", which had to wait for the end of the pause, has ended");
  }
  if (witness_.readable()) {
    return lost("the pause has ended: CLIENT UNPAUSE of somebody else, or its time ran out");
  }
  // A server closes sessions that are idle for long; this one is only there to ask.
  if (!control_.usable() || control_.hung_up()) {
    if (auto begun = control_.begin(*settings_, patience); !begun) {
      return lost("unable to ask the server").caused_by(std::move(begun).error());
    }
  }
  auto waiting = control_.is_kept_waiting(witness_.id(), patience);
  if (!waiting) return lost("unable to ask the server").caused_by(std::move(waiting).error());
  if (!*waiting) return lost("the server does not hold writes any more");
  return {};
}

Result<void> WritePause::extend(const std::string& run_id, Millis bound, const Patience& patience) {
  auto done = note_.write(run_id, bound);
  if (done) done = control_.pause_writes(bound, patience);
  if (done) done = prove(patience);
  // Were the first one just over, this has begun another, which end() would take for somebody's.
  if (!done && begun_ && witness_.readable()) (void)control_.unpause(patience);
  return done;
}

Result<void> WritePause::end(const Patience& patience) {
  if (!std::exchange(begun_, false)) return {};
  // The reply has come: our pause is over, and one that is on now is somebody else's.
  if (witness_.usable() && !witness_.hung_up() && witness_.readable()) {
    (void)witness_.take_announcement(patience);
    note_.forget();
    return {};
  }
  Result<void> ended = Error(ErrorCode::kUnreachable, "the session is closed");
  if (control_.usable() && !control_.hung_up()) ended = control_.unpause(patience);
  if (!ended && ended.error().code() != ErrorCode::kTimedOut) {
    ended = control_.open_and_unpause(*settings_, patience);
  }
  // A server that is not there any more holds nothing either.
  const bool gone = !ended && is_gone(ended.error().code());
  if (ended || gone) note_.forget();
  const bool witness_is_free =
      ended && witness_.usable() && witness_.take_announcement(patience).has_value();
  if (!witness_is_free) close();
  if (gone) return {};
  return ended;
}

void WritePause::abandon() {
  (void)end({.deadline = Deadline::in(abandon_time_), .deaf = true});
  close();
}

void WritePause::interrupt() {
  waker_.interrupt();
  control_.shut_down();
  witness_.shut_down();
}

}  // namespace holdfast::redis
