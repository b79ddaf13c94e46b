// SPDX-License-Identifier: MIT
#include "base/clock.h"

#include <gtest/gtest.h>

#include <limits>

namespace holdfast::base {
namespace {

using namespace std::chrono_literals;

TEST(Deadline, ThatHasPassedLeavesNothing) {
  const Deadline deadline = Deadline::in(-1s);
  EXPECT_TRUE(deadline.passed());
  EXPECT_EQ(deadline.remaining(), 0ms);
  EXPECT_EQ(deadline.poll_timeout(), 0);
}

TEST(Deadline, InTheFutureLeavesWhatIsLeft) {
  const Deadline deadline = Deadline::in(1h);
  EXPECT_FALSE(deadline.passed());
  EXPECT_GT(deadline.remaining(), 59min);
  EXPECT_LE(deadline.remaining(), 1h);
}

TEST(Deadline, BeyondWhatPollTakesIsCutToItsMost) {
  EXPECT_EQ(Deadline::in(std::chrono::hours(24 * 365)).poll_timeout(),
            std::numeric_limits<int>::max());
}

TEST(Deadline, AtTheEndsOfTheClockHasPassedOrHasNot) {
  EXPECT_EQ(Deadline(MonoTime::min()).remaining(), Millis{0});
  EXPECT_EQ(Deadline(MonoTime::min()).poll_timeout(), 0);
  EXPECT_GT(Deadline(MonoTime::max()).remaining(), Millis{0});
}

TEST(Deadline, EarlierOfTwoIsTheSmaller) {
  const Deadline soon = Deadline::in(1s);
  const Deadline late = Deadline::in(2s);
  EXPECT_EQ(soon.earlier_of(late).at(), soon.at());
  EXPECT_EQ(late.earlier_of(soon).at(), soon.at());
}

TEST(SystemClock, RunsForward) {
  const SystemClock clock;
  const MonoTime first = clock.now();
  EXPECT_LE(first, clock.now());
  EXPECT_GT(clock.wall().time_since_epoch(), 0s);
}

}  // namespace
}  // namespace holdfast::base
