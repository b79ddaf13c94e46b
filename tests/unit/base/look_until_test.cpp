// SPDX-License-Identifier: MIT
#include "base/look_until.h"

#include <gtest/gtest.h>

namespace holdfast::base {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""h;

TEST(LookUntil, LooksOnceWhenThatIsEnough) {
  int looks = 0;
  EXPECT_TRUE(look_until(Deadline::in(1h), Millis(1h), [&] { return ++looks == 1; }));
  EXPECT_EQ(looks, 1);
}

TEST(LookUntil, LooksAgainAfterEachPause) {
  int looks = 0;
  EXPECT_TRUE(look_until(Deadline::in(1h), 1ms, [&] { return ++looks == 4; }));
  EXPECT_EQ(looks, 4);
}

TEST(LookUntil, LooksOnceAfterTheDeadline) {
  int looks = 0;
  EXPECT_FALSE(look_until(Deadline(MonoTime::min()), 1ms, [&] { return ++looks == 2; }));
  EXPECT_EQ(looks, 1);
}

TEST(LookUntil, PausesNoLongerThanToTheDeadline) {
  int looks = 0;
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_FALSE(look_until(Deadline::in(20ms), Millis(1h), [&] { return ++looks == 3; }));
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 20ms);
  EXPECT_LE(looks, 2);
}

}  // namespace
}  // namespace holdfast::base
