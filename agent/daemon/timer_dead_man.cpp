// SPDX-License-Identifier: MIT
#include "daemon/timer_dead_man.h"

#include <sys/timerfd.h>

#include <chrono>
#include <stdexcept>

namespace holdfast::daemon {

TimerDeadMan::TimerDeadMan()
    : timer_(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)) {
  if (!timer_.valid()) throw std::runtime_error("no timer for the dead-man");
}

void TimerDeadMan::arm(base::MonoTime at) {
  const auto since_boot =
      std::chrono::duration_cast<std::chrono::nanoseconds>(at.time_since_epoch()).count();
  itimerspec when{};
  when.it_value.tv_sec = static_cast<time_t>(since_boot / 1'000'000'000);
  when.it_value.tv_nsec = static_cast<long>(since_boot % 1'000'000'000);
  // A window without its dead-man must not begin.
  if (::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &when, nullptr) != 0) {
    throw std::runtime_error("unable to arm the dead-man");
  }
}

void TimerDeadMan::disarm() {
  const itimerspec never{};
  (void)::timerfd_settime(timer_.get(), 0, &never, nullptr);
}

}  // namespace holdfast::daemon
