// SPDX-License-Identifier: MIT
//
// A schedule: resources, and a sequence of events over them. Any sequence is one, so that events
// can be left out of it at will; what an event comes to depends on what is open then.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "support/fake_plugin.h"

namespace holdfast::core {

enum class Happening : std::uint8_t {
  kFreeze,
  kFreezeGivenUp,  // nobody waits for the answer any more
  kThaw,
  kThawSeen,       // by somebody who watches the guest agent
  kTimePasses,     // as long as max-hold
  kTimerTooEarly,  // the dead-man's call before its time
  kAbandon,        // the answer to the freeze was not heard
  kStop,           // the daemon is told to end
  kCrash,          // it is killed, and another one begins
  kCheck,
  kLoseSession,
  kMovePosition,
  kNotice,  // the server says something that nobody asked for
  kScript,  // from now on this call ends like this
  kBreakFilesystem,
  kMendFilesystems,
  kBreakRecord,
  kMendRecord,
};
inline constexpr int kHappeningCount = 18;

struct Occurrence {
  Happening what = Happening::kFreeze;
  std::size_t resource = 0;
  support::FakeCall call = support::FakeCall::kProbe;
  support::FakeEnding ending = support::FakeEnding::kSucceed;
  std::string filesystem_call = {};
};

struct Schedule {
  struct Resource {
    std::string name;
    bool required = true;
    std::int64_t order = 0;
    bool stalls = true;
  };
  std::vector<Resource> resources;
  std::vector<Occurrence> events;
};

// With calls that come back only when they are stopped, interrupted or killed, if `hanging`.
[[nodiscard]] Schedule make_schedule(std::mt19937_64& random, bool hanging);

// One event per line, to be read by a person.
[[nodiscard]] std::string text_of(const Occurrence& event, const Schedule& schedule);
[[nodiscard]] std::string text_of(const Schedule& schedule);

}  // namespace holdfast::core
