// SPDX-License-Identifier: MIT
//
// One of the places for archives that may be written at the same time on this host, whichever
// process does it: a locked file in the state directory, which is free as soon as its holder ends,
// however that comes.
//
// Threads: any; take() blocks. Ownership: the place is held as long as the object lives.
#pragma once

#include <functional>
#include <stop_token>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "repository/lock.h"

namespace holdfast::host::container {

class Slot {
 public:
  // `waiting` is called once if there is none free at once. kTimedOut, kCancelled.
  [[nodiscard]] static base::Result<Slot> take(const std::string& state_directory, int limit,
                                               base::Deadline deadline, const std::stop_token& stop,
                                               const std::function<void()>& waiting);

 private:
  explicit Slot(repository::Lock lock) : lock_(std::move(lock)) {}

  repository::Lock lock_;
};

}  // namespace holdfast::host::container
