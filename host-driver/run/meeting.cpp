// SPDX-License-Identifier: MIT
#include "run/meeting.h"

namespace holdfast::host::run {

bool Meeting::arrive(Point point) {
  const auto index = static_cast<std::size_t>(point);
  std::unique_lock lock(mutex_);
  if (++arrived_.at(index) == members_) {
    complete_.at(index) = std::chrono::steady_clock::now();
    changed_.notify_all();
  }
  const auto decided = [&] { return broken_ || arrived_.at(index) == members_; };
  if (!changed_.wait_for(lock, patience_, decided)) {
    broken_ = true;
    timed_out_ = true;
    changed_.notify_all();
  }
  return !broken_;
}

void Meeting::break_up() {
  const std::lock_guard lock(mutex_);
  broken_ = true;
  changed_.notify_all();
}

bool Meeting::broken() const {
  const std::lock_guard lock(mutex_);
  return broken_;
}

bool Meeting::timed_out() const {
  const std::lock_guard lock(mutex_);
  return timed_out_;
}

std::chrono::nanoseconds Meeting::together() const {
  const std::lock_guard lock(mutex_);
  const auto frozen = static_cast<std::size_t>(Point::kFrozen);
  const auto taken = static_cast<std::size_t>(Point::kTaken);
  if (arrived_.at(taken) < members_) return {};
  return complete_.at(taken) - complete_.at(frozen);
}

}  // namespace holdfast::host::run
