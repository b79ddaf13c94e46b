// SPDX-License-Identifier: MIT
//
// For a state that nothing announces: another machine's, a server's that is about to come back.
// Whatever has a descriptor is waited for with poll(2) instead.
//
// Threads: any; blocks.
#pragma once

#include <algorithm>
#include <thread>

#include "base/clock.h"

namespace holdfast::base {

// Looks at once, and again after each pause, until look() is true, or the deadline has passed: then
// false. The last look comes at the deadline or after it.
template <typename Look>
[[nodiscard]] bool look_until(Deadline deadline, Millis pause, Look look) {
  for (;;) {
    if (look()) return true;
    if (deadline.passed()) return false;
    std::this_thread::sleep_for(std::min(pause, deadline.remaining()));
  }
}

}  // namespace holdfast::base
