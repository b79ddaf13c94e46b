// SPDX-License-Identifier: MIT
//
// What was called, in order, over all fakes of a test.
//
// Threads: any.
#pragma once

#include <algorithm>
#include <cstddef>
#include <mutex>
#include <string>
#include <vector>

namespace holdfast::support {

class CallLog {
 public:
  void add(std::string call) {
    const std::lock_guard lock(mutex_);
    calls_.push_back(std::move(call));
  }
  [[nodiscard]] std::vector<std::string> calls() const {
    const std::lock_guard lock(mutex_);
    return calls_;
  }
  void clear() {
    const std::lock_guard lock(mutex_);
    calls_.clear();
  }
  [[nodiscard]] std::size_t count(const std::string& call) const {
    const auto all = calls();
    return static_cast<std::size_t>(std::count(all.begin(), all.end(), call));
  }
  // Where it stands first; the number of calls if it does not.
  [[nodiscard]] std::size_t position(const std::string& call) const {
    const auto all = calls();
    return static_cast<std::size_t>(std::find(all.begin(), all.end(), call) - all.begin());
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> calls_;
};

}  // namespace holdfast::support
