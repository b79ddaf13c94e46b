// SPDX-License-Identifier: MIT
//
// Waits for calls that run on several resources at once, and ends those that do not end by
// themselves: half a grace after the deadline they are asked to stop; a grace later they are
// interrupted; another grace later they count as stuck, and the daemon has to end itself, since
// only the end of its sessions is then sure to release what they hold.
//
// Threads: the coordinator's.
#pragma once

#include <stop_token>
#include <vector>

#include "base/clock.h"
#include "core/bell.h"
#include "core/resource.h"

namespace holdfast::core {

struct Patience {
  base::MonoTime deadline;
  base::Millis grace;
  // Given up early when this is asked to stop. Not for calls that let go.
  std::stop_token stop;
  // Given up early when a required resource has failed: the others only stall somebody.
  bool fail_fast = false;
};

struct Awaited {
  bool timed_out = false;
  bool stopped = false;
  std::vector<Resource*> stuck;
};

[[nodiscard]] Awaited await_calls(const std::vector<Resource*>& resources, Bell& bell,
                                  const Patience& patience);

}  // namespace holdfast::core
