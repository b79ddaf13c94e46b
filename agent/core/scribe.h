// SPDX-License-Identifier: MIT
//
// Writes to a disk that may not take it: a write to a filesystem that is frozen, or whose device
// has gone, sleeps where no signal and no time-out reaches it. So it is done on a thread of its
// own, and whoever waits for it waits no longer than he wants to. Writes are done in order; while
// one hangs there are no others.
//
// Threads: all calls on one thread at a time.
#pragma once

#include <functional>
#include <memory>
#include <thread>

#include "base/clock.h"
#include "base/result.h"

namespace holdfast::core {

class Scribe {
 public:
  using Work = std::function<base::Result<void>()>;

  Scribe();
  Scribe(const Scribe&) = delete;
  Scribe& operator=(const Scribe&) = delete;
  // Does not wait for a write that hangs: it stays behind, with all that it needs.
  ~Scribe();

  // What came of `work`. kTimedOut at the deadline: it may yet be done, later, so it must own all
  // it touches. kBusy, at once, while an earlier one hangs.
  [[nodiscard]] base::Result<void> perform(Work work, base::Deadline deadline);

  // The two halves of perform(), for who has something else to do meanwhile. finish() comes after
  // each begin() that succeeded.
  [[nodiscard]] base::Result<void> begin(Work work);
  [[nodiscard]] base::Result<void> finish(base::Deadline deadline);

 private:
  struct Desk;
  static void write(Desk& desk);

  const std::shared_ptr<Desk> desk_;
  std::thread thread_;
};

}  // namespace holdfast::core
