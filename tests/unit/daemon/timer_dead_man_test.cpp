// SPDX-License-Identifier: MIT
#include "daemon/timer_dead_man.h"

#include <gtest/gtest.h>
#include <poll.h>

namespace holdfast::daemon {
namespace {

using namespace std::chrono_literals;

bool runs_out(const TimerDeadMan& dead_man, base::Millis within) {
  pollfd watched{dead_man.fd(), POLLIN, 0};
  return ::poll(&watched, 1, static_cast<int>(within.count())) == 1;
}

TEST(TimerDeadManTest, RunsOutAtItsTime) {
  TimerDeadMan dead_man;
  EXPECT_FALSE(runs_out(dead_man, 0ms));
  const auto at = std::chrono::steady_clock::now() + 20ms;
  dead_man.arm(at);
  EXPECT_TRUE(runs_out(dead_man, 10s));
  EXPECT_GE(std::chrono::steady_clock::now(), at);
}

TEST(TimerDeadManTest, RunsOutAtOnceWhenItsTimeHasPassed) {
  TimerDeadMan dead_man;
  dead_man.arm(std::chrono::steady_clock::now() - 1s);
  EXPECT_TRUE(runs_out(dead_man, 10s));
}

TEST(TimerDeadManTest, DoesNotRunOutOnceItIsDisarmedOrArmedForLater) {
  TimerDeadMan dead_man;
  dead_man.arm(std::chrono::steady_clock::now() - 1s);
  dead_man.disarm();
  EXPECT_FALSE(runs_out(dead_man, 0ms));
  dead_man.arm(std::chrono::steady_clock::now() - 1s);
  dead_man.arm(std::chrono::steady_clock::now() + 1h);
  EXPECT_FALSE(runs_out(dead_man, 0ms));
}

}  // namespace
}  // namespace holdfast::daemon
