// SPDX-License-Identifier: MIT
//
// Where the windows of several machines meet, each on a thread of its own, so that they are one:
// nobody freezes before all are ready to, no instant is taken before all are frozen, and nobody
// thaws before all are taken. One that cannot go on sends everybody home at once.
//
//   ready ── freeze ── frozen ── transaction ── taken ── thaw
//
// Threads: the members' at the same time.
#pragma once

#include <array>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include "base/clock.h"

namespace holdfast::host::run {

class Meeting {
 public:
  enum class Point : std::uint8_t { kReady, kFrozen, kTaken };

  // `patience`: how much longer than alone a window may take, since it waits for the others; and so
  // long does arrive() wait for them.
  Meeting(std::size_t members, base::Millis patience) : members_(members), patience_(patience) {}

  // All are there. False, for everybody and from then on: one is not coming, or has not come within
  // the patience. Blocks until then.
  [[nodiscard]] bool arrive(Point point);
  void break_up();

  [[nodiscard]] base::Millis patience() const { return patience_; }
  [[nodiscard]] bool broken() const;
  // Broken up since somebody waited in vain.
  [[nodiscard]] bool timed_out() const;
  // From the last guest's freeze to the last instant: how long all of them stood still together
  // for it. Nothing if it did not come to that.
  [[nodiscard]] std::chrono::nanoseconds together() const;

 private:
  const std::size_t members_;
  const base::Millis patience_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::array<std::size_t, 3> arrived_{};
  std::array<base::MonoTime, 3> complete_{};
  bool broken_ = false;
  bool timed_out_ = false;
};

}  // namespace holdfast::host::run
