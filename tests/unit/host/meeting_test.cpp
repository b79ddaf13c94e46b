// SPDX-License-Identifier: MIT
#include "run/meeting.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace holdfast::host::run {
namespace {

using Point = Meeting::Point;

constexpr base::Millis kLong{60000};

TEST(Meeting, LetsNobodyOnBeforeAllAreThere) {
  constexpr std::size_t kMembers = 4;
  Meeting meeting(kMembers, kLong);
  std::atomic<std::size_t> frozen{0};
  std::atomic<bool> early{false};
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < kMembers; ++i) {
      threads.emplace_back([&] {
        EXPECT_TRUE(meeting.arrive(Point::kReady));
        ++frozen;
        EXPECT_TRUE(meeting.arrive(Point::kFrozen));
        if (frozen != kMembers) early = true;
        EXPECT_TRUE(meeting.arrive(Point::kTaken));
      });
    }
  }
  EXPECT_FALSE(early);
  EXPECT_FALSE(meeting.broken());
  EXPECT_GT(meeting.together().count(), 0);
}

TEST(Meeting, SendsEverybodyHomeOnceOneCannotCome) {
  Meeting meeting(3, kLong);
  {
    std::jthread waiting([&] { EXPECT_FALSE(meeting.arrive(Point::kReady)); });
    meeting.break_up();
  }
  EXPECT_FALSE(meeting.arrive(Point::kFrozen));
  EXPECT_TRUE(meeting.broken());
  EXPECT_FALSE(meeting.timed_out());
  EXPECT_EQ(meeting.together().count(), 0);
}

TEST(Meeting, WaitsForNobodyForEver) {
  Meeting meeting(2, base::Millis{20});
  EXPECT_FALSE(meeting.arrive(Point::kReady));
  EXPECT_TRUE(meeting.broken());
  EXPECT_TRUE(meeting.timed_out());
  // Who comes late is told so.
  EXPECT_FALSE(meeting.arrive(Point::kReady));
}

}  // namespace
}  // namespace holdfast::host::run
