// SPDX-License-Identifier: MIT
//
// The dead-man of the locks: a timerfd, so that it is armed by one system call from whatever
// thread, and seen by the loop.
#pragma once

#include "base/unique_fd.h"
#include "core/dead_man.h"

namespace holdfast::daemon {

class TimerDeadMan final : public core::DeadMan {
 public:
  TimerDeadMan();

  void arm(base::MonoTime at) override;
  void disarm() override;

  // Readable once the time has run out; the reader empties it.
  [[nodiscard]] int fd() const { return timer_.get(); }

 private:
  base::UniqueFd timer_;
};

}  // namespace holdfast::daemon
