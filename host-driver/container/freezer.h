// SPDX-License-Identifier: MIT
//
// Stops and continues all processes of a control group of version 2 (Linux:
// Documentation/admin-guide/cgroup-v2.rst, cgroup.freeze): each stands still where it would return
// to itself, so that none holds a lock of a filesystem meanwhile. A process that waits for a disk
// is stopped when it has got its answer.
//
// Threads: plain values. Errors: kTimedOut; kNotFound for a control group that is gone, which no
// process is in.
#pragma once

#include <string>

#include "base/clock.h"
#include "base/result.h"

namespace holdfast::host::container {

class Freezer {
 public:
  explicit Freezer(std::string directory) : directory_(std::move(directory)) {}

  // Do all of its processes stand still, whoever asked for it?
  [[nodiscard]] base::Result<bool> is_frozen() const;
  // Was it asked for of this very control group?
  [[nodiscard]] base::Result<bool> is_asked() const;
  // Until all of them do. On failure it may still come true: thaw() takes it back.
  [[nodiscard]] base::Result<void> freeze(base::Deadline deadline) const;
  // Until they go on; of one that is gone there is nothing to do. May be repeated.
  [[nodiscard]] base::Result<void> thaw(base::Deadline deadline) const;

 private:
  [[nodiscard]] base::Result<void> ask_for(bool frozen, base::Deadline deadline) const;

  std::string directory_;
};

}  // namespace holdfast::host::container
