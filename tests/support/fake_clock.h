// SPDX-License-Identifier: MIT
//
// A clock that moves only when it is told to, both of its faces together.
//
// Threads: any.
#pragma once

#include <atomic>
#include <chrono>

#include "base/clock.h"

namespace holdfast::support {

class FakeClock final : public base::Clock {
 public:
  // Starts at the real time, so that what is due "now" is due for poll(2), too.
  FakeClock() : mono_(std::chrono::steady_clock::now()), wall_(std::chrono::system_clock::now()) {}

  [[nodiscard]] base::MonoTime now() const override { return mono_ + offset_.load(); }
  [[nodiscard]] base::WallTime wall() const override { return wall_ + offset_.load(); }
  void advance(base::Millis span) { offset_ = offset_.load() + span; }

 private:
  base::MonoTime mono_;
  base::WallTime wall_;
  std::atomic<base::Millis> offset_{base::Millis{0}};
};

}  // namespace holdfast::support
