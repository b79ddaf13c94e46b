// SPDX-License-Identifier: MIT
//
// Time: what the clock says, and by when something must be done.
//
// Everything that waits uses the monotonic clock; the wall clock is for records alone, since it may
// jump. Clock is one of the four interfaces to the outside world (clock, filesystems, processes,
// transport): state machines take it in the constructor, so that tests can move it. Code that
// blocks in the kernel uses Deadline, which is tied to the real monotonic clock, because poll(2)
// is.
#pragma once

#include <chrono>

namespace holdfast::base {

using MonoTime = std::chrono::steady_clock::time_point;
using WallTime = std::chrono::system_clock::time_point;
using Millis = std::chrono::milliseconds;

// Threads: every call from any thread.
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual MonoTime now() const = 0;
  [[nodiscard]] virtual WallTime wall() const = 0;
};

class SystemClock final : public Clock {
 public:
  [[nodiscard]] MonoTime now() const override { return std::chrono::steady_clock::now(); }
  [[nodiscard]] WallTime wall() const override { return std::chrono::system_clock::now(); }
};

class Deadline {
 public:
  explicit Deadline(MonoTime at) : at_(at) {}
  [[nodiscard]] static Deadline in(std::chrono::nanoseconds span) {
    return Deadline(std::chrono::steady_clock::now() +
                    std::chrono::duration_cast<std::chrono::steady_clock::duration>(span));
  }

  [[nodiscard]] MonoTime at() const { return at_; }
  [[nodiscard]] bool passed() const { return std::chrono::steady_clock::now() >= at_; }
  // What is left, never negative, rounded up to the next millisecond: a wait that is rounded down
  // would spin through its last millisecond.
  [[nodiscard]] Millis remaining() const {
    // Compared before they are subtracted: the distance to the clock's ends does not fit.
    const MonoTime now = std::chrono::steady_clock::now();
    return at_ <= now ? Millis{0} : std::chrono::ceil<Millis>(at_ - now);
  }
  // The same as poll(2) takes it.
  [[nodiscard]] int poll_timeout() const;
  [[nodiscard]] Deadline earlier_of(Deadline other) const {
    return at_ < other.at_ ? *this : other;
  }

 private:
  MonoTime at_;
};

}  // namespace holdfast::base
