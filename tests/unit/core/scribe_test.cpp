// SPDX-License-Identifier: MIT
#include "core/scribe.h"

#include <gtest/gtest.h>

#include <latch>
#include <stdexcept>

namespace holdfast::core {
namespace {

using base::Deadline;
using base::ErrorCode;
using base::Result;
using namespace std::chrono_literals;

Deadline soon() {
  return Deadline::in(10s);
}

Result<void> nothing() {
  return {};
}

TEST(Scribe, SaysWhatCameOfTheWork) {
  Scribe scribe;
  EXPECT_TRUE(scribe.perform(nothing, soon()));
  const auto failed = scribe.perform(
      [] { return Result<void>(base::Error(ErrorCode::kIo, "no space left")); }, soon());
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().text(), "no space left");
  EXPECT_TRUE(scribe.perform(nothing, soon()));
}

TEST(Scribe, LeavesItsMasterFreeBetweenTheHalves) {
  Scribe scribe;
  const auto latch = std::make_shared<std::latch>(1);
  ASSERT_TRUE(scribe.begin([latch]() -> Result<void> {
    latch->wait();
    return base::Error(ErrorCode::kIo, "no space left");
  }));
  EXPECT_EQ(scribe.begin(nothing).error().code(), ErrorCode::kBusy);
  latch->count_down();
  EXPECT_EQ(scribe.finish(soon()).error().text(), "no space left");
  EXPECT_TRUE(scribe.perform(nothing, soon()));
}

TEST(Scribe, ReportsWhatTheWorkThrows) {
  Scribe scribe;
  const auto failed =
      scribe.perform([]() -> Result<void> { throw std::runtime_error("out of ink"); }, soon());
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code(), ErrorCode::kInternal);
  EXPECT_EQ(failed.error().text(), "out of ink");
}

TEST(Scribe, WaitsNoLongerThanTheDeadlineAndTakesNothingElseMeanwhile) {
  Scribe scribe;
  const auto latch = std::make_shared<std::latch>(1);
  const auto hanging = scribe.perform(
      [latch] {
        latch->wait();
        return Result<void>{};
      },
      Deadline::in(20ms));
  ASSERT_FALSE(hanging);
  EXPECT_EQ(hanging.error().code(), ErrorCode::kTimedOut);
  const auto other = scribe.perform(nothing, soon());
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code(), ErrorCode::kBusy);
  latch->count_down();
  // The late outcome is nobody's any more.
  Result<void> again;
  for (const Deadline end = soon(); !end.passed();) {
    again = scribe.perform(nothing, soon());
    if (again) break;
    std::this_thread::yield();
  }
  EXPECT_TRUE(again);
}

TEST(Scribe, EndsWithoutAWriteThatHangs) {
  const auto latch = std::make_shared<std::latch>(1);
  {
    Scribe scribe;
    (void)scribe.perform(
        [latch] {
          latch->wait();
          return Result<void>{};
        },
        Deadline::in(1ms));
  }
  latch->count_down();
}

}  // namespace
}  // namespace holdfast::core
