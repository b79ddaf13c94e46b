// SPDX-License-Identifier: MIT
//
// Waits that another thread can end: for a descriptor, up to a deadline, until a stop token is
// asked to stop or interrupt() is called. What a plugin needs so that none of its calls outlives
// what its caller granted.
//
// Threads: wait() and reset() on one thread, the owner's; interrupt() and interrupted() on any.
#pragma once

#include <atomic>
#include <stop_token>

#include "base/clock.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace holdfast::base {

class Waker {
 public:
  Waker();

  // Ends the wait that is going on and every later one, until reset().
  void interrupt();
  [[nodiscard]] bool interrupted() const { return interrupted_; }
  void reset() { interrupted_ = false; }

  // Waits until `fd` shows one of the poll(2) `events`, an error or a hang-up. kTimedOut at the
  // deadline, kCancelled when stopped or interrupted; what has become ready counts even then only
  // if it was ready first. With an `fd` of -1 this is a pause, and kTimedOut is its regular end.
  [[nodiscard]] Result<void> wait(int fd, short events, Deadline deadline,
                                  const std::stop_token& stop);

 private:
  void wake() const;
  void drain() const;

  UniqueFd event_;
  std::atomic<bool> interrupted_ = false;
};

}  // namespace holdfast::base
