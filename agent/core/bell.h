// SPDX-License-Identifier: MIT
//
// One thread waits, several others tell it that something has changed. The condition itself is the
// waiter's affair: it looks anew after every ring.
//
// Threads: any.
#pragma once

#include <condition_variable>
#include <mutex>

#include "base/clock.h"

namespace holdfast::core {

class Bell {
 public:
  void ring() {
    { const std::lock_guard lock(mutex_); }
    changed_.notify_all();
  }

  // Until `condition` holds or `until` has passed; what it says then.
  template <typename Condition>
  [[nodiscard]] bool wait_until(base::MonoTime until, Condition condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_until(lock, until, condition);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
};

}  // namespace holdfast::core
