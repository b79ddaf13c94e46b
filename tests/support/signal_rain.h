// SPDX-License-Identifier: MIT
//
// While one exists, this process gets SIGALRM again and again, with a handler that does nothing but
// end system calls (EINTR): there is no SA_RESTART. At most one at a time.
//
// Threads: the main one's calls are those that are interrupted.
#pragma once

#include <signal.h>
#include <sys/time.h>

#include <atomic>
#include <chrono>

namespace holdfast::support {

class SignalRain {
 public:
  explicit SignalRain(std::chrono::microseconds interval) {
    drops_ = 0;
    struct sigaction action {};
    action.sa_handler = [](int) { ++drops_; };
    (void)::sigaction(SIGALRM, &action, &before_);
    const timeval every{0, static_cast<suseconds_t>(interval.count())};
    const itimerval timer{every, every};
    (void)::setitimer(ITIMER_REAL, &timer, nullptr);
  }
  SignalRain(const SignalRain&) = delete;
  SignalRain& operator=(const SignalRain&) = delete;
  ~SignalRain() {
    const itimerval none{};
    (void)::setitimer(ITIMER_REAL, &none, nullptr);
    (void)::sigaction(SIGALRM, &before_, nullptr);
  }
  [[nodiscard]] static int drops() { return drops_; }

 private:
  static inline std::atomic<int> drops_ = 0;
  struct sigaction before_ {};
};

}  // namespace holdfast::support
