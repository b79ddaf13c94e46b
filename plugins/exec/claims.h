// SPDX-License-Identifier: MIT
//
// Which resources are being frozen, by which session: one at a time for each. A service that has
// been restarted waits here until what its predecessor left frozen has been thawed.
//
// Threads: any.
#pragma once

#include <condition_variable>
#include <mutex>
#include <set>
#include <stop_token>
#include <string>

#include "base/clock.h"
#include "base/result.h"

namespace holdfast::exec {

class Claims {
 public:
  // Waits until nobody else has it; kBusy at the deadline, kCancelled when asked to stop.
  [[nodiscard]] base::Result<void> take(const std::string& resource, base::Deadline deadline,
                                        const std::stop_token& stop);
  void give_back(const std::string& resource);

 private:
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::set<std::string> taken_;
};

}  // namespace holdfast::exec
