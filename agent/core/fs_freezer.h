// SPDX-License-Identifier: MIT
//
// What the coordinator needs done to filesystems: one of the four interfaces to the outside world.
// The freeze itself is qemu-ga's; this side flushes before it, and thaws when nobody else does.
//
// Threads: one, the coordinator's. Every call blocks at most until its deadline.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace holdfast::core {

class FsFreezer {
 public:
  FsFreezer() = default;
  FsFreezer(const FsFreezer&) = delete;
  FsFreezer& operator=(const FsFreezer&) = delete;
  virtual ~FsFreezer() = default;

  // The set of this window, by mount point, in place of an earlier one; and from now on the
  // dead-man: when `max_hold` has passed they are thawed, whatever has become of this process.
  // On failure nothing is armed.
  [[nodiscard]] virtual base::Result<void> arm(const std::vector<std::string>& mount_points,
                                               base::Millis max_hold, base::Deadline deadline) = 0;

  // Starts the dead-man's time anew, on the same set.
  [[nodiscard]] virtual base::Result<void> extend(base::Millis max_hold,
                                                  base::Deadline deadline) = 0;

  // Is the dead-man still there, as far as that shows without asking? Doesn't block.
  [[nodiscard]] virtual base::Result<void> confirm() = 0;

  // Writes all that is dirty to disk, so that the freeze has little left to write.
  [[nodiscard]] virtual base::Result<void> sync(base::Deadline deadline) = 0;

  // Thaws the whole set now. One that is not frozen is none the worse.
  [[nodiscard]] virtual base::Result<void> thaw(base::Deadline deadline) = 0;

  // Forgets the set and the dead-man. Also those of a process before this one.
  [[nodiscard]] virtual base::Result<void> disarm(base::Deadline deadline) = 0;
};

}  // namespace holdfast::core
