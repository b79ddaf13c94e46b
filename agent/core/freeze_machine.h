// SPDX-License-Identifier: MIT
//
// The states of a freeze, pure: no I/O, no clock, no memory. The coordinator performs the action
// that a transition names and feeds the machine what came of it, until there is no action left.
//
//   idle --freeze--> preparing: prepare
//   idle --thaw--> idle: report
//   idle --stop--> idle: -
//   preparing --done--> holding: hold
//   preparing --fail--> aborting: let-go
//   preparing --deadline--> aborting: let-go
//   preparing --stop--> aborting: let-go
//   holding --done--> recording: record
//   holding --fail--> aborting: let-go
//   holding --deadline--> aborting: let-go
//   holding --stop--> aborting: let-go
//   recording --done--> held: -
//   recording --fail--> aborting: let-go
//   recording --deadline--> aborting: let-go
//   recording --stop--> aborting: let-go
//   held --freeze--> renewing: renew
//   held --thaw--> verifying: verify
//   held --thaw-seen--> verifying: verify
//   held --deadline--> expiring: expire
//   held --stop--> stopping: let-go
//   renewing --done--> recording: record
//   renewing --fail--> aborting: let-go
//   renewing --deadline--> aborting: let-go
//   renewing --stop--> aborting: let-go
//   verifying --done--> releasing: let-go
//   verifying --stop--> verifying: -
//   releasing --done--> idle: conclude
//   releasing --stop--> releasing: -
//   aborting --done--> idle: conclude
//   aborting --stop--> aborting: -
//   expiring --done--> expired: conclude
//   expiring --stop--> expiring: -
//   stopping --done--> interrupted: conclude
//   stopping --stop--> stopping: -
//   expired --freeze--> preparing: prepare
//   expired --thaw--> idle: report
//   expired --stop--> expired: -
//   interrupted --freeze--> preparing: prepare
//   interrupted --thaw--> idle: report
//   interrupted --stop--> interrupted: -
//
// Every state in which something is, or is about to be, held has a deadline: freeze-timeout up to
// 'recording', max-hold in 'held', thaw-timeout from 'verifying' on. Stopping is legal in every
// state; letting go can't be stopped. What is not in the drawing is refused without a change: a
// second freeze during a first, for example.
//
// 'expired' and 'interrupted' hold nothing: they remember that a window ended without its thaw, so
// that the thaw that comes late says so.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace holdfast::core {

enum class State : std::uint8_t {
  kIdle,
  kPreparing,
  kHolding,
  kRecording,
  kHeld,
  kRenewing,
  kVerifying,
  kReleasing,
  kAborting,
  kExpiring,
  kStopping,
  kExpired,
  kInterrupted,
};
inline constexpr std::size_t kStateCount = 13;

// kThaw is the hook's; kThawSeen comes before it, from whoever saw the filesystems thaw.
enum class Event : std::uint8_t { kFreeze, kThaw, kThawSeen, kDone, kFail, kDeadline, kStop };
inline constexpr std::size_t kEventCount = 7;

enum class Action : std::uint8_t {
  kNone,
  kPrepare,   // arm the dead-man, prepare all resources, sync the filesystems
  kHold,      // take the locks, order group by order group
  kRecord,    // write the freeze record
  kRenew,     // verify what is held, for a new window on the same locks
  kVerify,    // still ours, and unmoved?
  kExpire,    // thaw the filesystems, then let go
  kLetGo,     // release in reverse order; roll back what was only prepared
  kConclude,  // verdict, record, disarm
  kReport,    // say what became of the last window
};

struct Transition {
  State next;
  Action action;
};

[[nodiscard]] std::string_view name_of(State state);
[[nodiscard]] std::string_view name_of(Event event);
[[nodiscard]] std::string_view name_of(Action action);

// Nothing: the event is refused in this state.
[[nodiscard]] std::optional<Transition> step(State state, Event event);

// Is something held or in the making, so that letting go is owed?
[[nodiscard]] bool is_open(State state);

// The drawing above, from the table.
[[nodiscard]] std::string draw_machine();

}  // namespace holdfast::core
