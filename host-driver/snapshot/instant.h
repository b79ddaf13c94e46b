// SPDX-License-Identifier: MIT
//
// What happens between freeze and thaw, and nothing besides.
//
// Threads: as its owner.
#pragma once

#include "base/clock.h"
#include "base/result.h"

namespace holdfast::host::snapshot {

class Instant {
 public:
  Instant() = default;
  Instant(const Instant&) = delete;
  Instant& operator=(const Instant&) = delete;
  virtual ~Instant() = default;

  // Does take() stop the machine for a moment? Whoever takes over the thaw then lets it go on
  // first.
  [[nodiscard]] virtual bool stops_machine() const { return false; }

  // For how much longer than a transaction's time it may do so.
  [[nodiscard]] virtual base::Millis patience() const { return base::Millis{0}; }

  // One request to QEMU, for all disks or none. After kTimedOut it may or may not have happened;
  // its owner finds out.
  [[nodiscard]] virtual base::Result<void> take(base::Deadline deadline) = 0;
};

}  // namespace holdfast::host::snapshot
