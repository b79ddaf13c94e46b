// SPDX-License-Identifier: MIT
#include "core/freeze_machine.h"

#include <array>

namespace holdfast::core {

namespace {

struct Row {
  State state;
  Event event;
  Transition transition;
};

constexpr std::array kTable{
    Row{State::kIdle, Event::kFreeze, {State::kPreparing, Action::kPrepare}},
    Row{State::kIdle, Event::kThaw, {State::kIdle, Action::kReport}},
    Row{State::kIdle, Event::kStop, {State::kIdle, Action::kNone}},
    Row{State::kPreparing, Event::kDone, {State::kHolding, Action::kHold}},
    Row{State::kPreparing, Event::kFail, {State::kAborting, Action::kLetGo}},
    Row{State::kPreparing, Event::kDeadline, {State::kAborting, Action::kLetGo}},
    Row{State::kPreparing, Event::kStop, {State::kAborting, Action::kLetGo}},
    Row{State::kHolding, Event::kDone, {State::kRecording, Action::kRecord}},
    Row{State::kHolding, Event::kFail, {State::kAborting, Action::kLetGo}},
    Row{State::kHolding, Event::kDeadline, {State::kAborting, Action::kLetGo}},
    Row{State::kHolding, Event::kStop, {State::kAborting, Action::kLetGo}},
    Row{State::kRecording, Event::kDone, {State::kHeld, Action::kNone}},
    Row{State::kRecording, Event::kFail, {State::kAborting, Action::kLetGo}},
    Row{State::kRecording, Event::kDeadline, {State::kAborting, Action::kLetGo}},
    Row{State::kRecording, Event::kStop, {State::kAborting, Action::kLetGo}},
    Row{State::kHeld, Event::kFreeze, {State::kRenewing, Action::kRenew}},
    Row{State::kHeld, Event::kThaw, {State::kVerifying, Action::kVerify}},
    Row{State::kHeld, Event::kThawSeen, {State::kVerifying, Action::kVerify}},
    Row{State::kHeld, Event::kDeadline, {State::kExpiring, Action::kExpire}},
    Row{State::kHeld, Event::kStop, {State::kStopping, Action::kLetGo}},
    Row{State::kRenewing, Event::kDone, {State::kRecording, Action::kRecord}},
    Row{State::kRenewing, Event::kFail, {State::kAborting, Action::kLetGo}},
    Row{State::kRenewing, Event::kDeadline, {State::kAborting, Action::kLetGo}},
    Row{State::kRenewing, Event::kStop, {State::kAborting, Action::kLetGo}},
    Row{State::kVerifying, Event::kDone, {State::kReleasing, Action::kLetGo}},
    Row{State::kVerifying, Event::kStop, {State::kVerifying, Action::kNone}},
    Row{State::kReleasing, Event::kDone, {State::kIdle, Action::kConclude}},
    Row{State::kReleasing, Event::kStop, {State::kReleasing, Action::kNone}},
    Row{State::kAborting, Event::kDone, {State::kIdle, Action::kConclude}},
    Row{State::kAborting, Event::kStop, {State::kAborting, Action::kNone}},
    Row{State::kExpiring, Event::kDone, {State::kExpired, Action::kConclude}},
    Row{State::kExpiring, Event::kStop, {State::kExpiring, Action::kNone}},
    Row{State::kStopping, Event::kDone, {State::kInterrupted, Action::kConclude}},
    Row{State::kStopping, Event::kStop, {State::kStopping, Action::kNone}},
    Row{State::kExpired, Event::kFreeze, {State::kPreparing, Action::kPrepare}},
    Row{State::kExpired, Event::kThaw, {State::kIdle, Action::kReport}},
    Row{State::kExpired, Event::kStop, {State::kExpired, Action::kNone}},
    Row{State::kInterrupted, Event::kFreeze, {State::kPreparing, Action::kPrepare}},
    Row{State::kInterrupted, Event::kThaw, {State::kIdle, Action::kReport}},
    Row{State::kInterrupted, Event::kStop, {State::kInterrupted, Action::kNone}},
};

}  // namespace

std::string_view name_of(State state) {
  switch (state) {
    case State::kIdle:
      return "idle";
    case State::kPreparing:
      return "preparing";
    case State::kHolding:
      return "holding";
    case State::kRecording:
      return "recording";
    case State::kHeld:
      return "held";
    case State::kRenewing:
      return "renewing";
    case State::kVerifying:
      return "verifying";
    case State::kReleasing:
      return "releasing";
    case State::kAborting:
      return "aborting";
    case State::kExpiring:
      return "expiring";
    case State::kStopping:
      return "stopping";
    case State::kExpired:
      return "expired";
    case State::kInterrupted:
      return "interrupted";
  }
  return "unknown";
}

std::string_view name_of(Event event) {
  switch (event) {
    case Event::kFreeze:
      return "freeze";
    case Event::kThaw:
      return "thaw";
    case Event::kThawSeen:
      return "thaw-seen";
    case Event::kDone:
      return "done";
    case Event::kFail:
      return "fail";
    case Event::kDeadline:
      return "deadline";
    case Event::kStop:
      return "stop";
  }
  return "unknown";
}

std::string_view name_of(Action action) {
  switch (action) {
    case Action::kNone:
      return "-";
    case Action::kPrepare:
      return "prepare";
    case Action::kHold:
      return "hold";
    case Action::kRecord:
      return "record";
    case Action::kRenew:
      return "renew";
    case Action::kVerify:
      return "verify";
    case Action::kExpire:
      return "expire";
    case Action::kLetGo:
      return "let-go";
    case Action::kConclude:
      return "conclude";
    case Action::kReport:
      return "report";
  }
  return "unknown";
}

std::optional<Transition> step(State state, Event event) {
  for (const Row& row : kTable) {
    if (row.state == state && row.event == event) return row.transition;
  }
  return std::nullopt;
}

bool is_open(State state) {
  switch (state) {
    case State::kIdle:
    case State::kExpired:
    case State::kInterrupted:
      return false;
    case State::kPreparing:
    case State::kHolding:
    case State::kRecording:
    case State::kHeld:
    case State::kRenewing:
    case State::kVerifying:
    case State::kReleasing:
    case State::kAborting:
    case State::kExpiring:
    case State::kStopping:
      return true;
  }
  return true;
}

std::string draw_machine() {
  std::string drawing;
  for (const Row& row : kTable) {
    drawing += std::string(name_of(row.state)) + " --" + std::string(name_of(row.event)) + "--> " +
               std::string(name_of(row.transition.next)) + ": " +
               std::string(name_of(row.transition.action)) + "\n";
  }
  return drawing;
}

}  // namespace holdfast::core
