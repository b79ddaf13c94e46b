// SPDX-License-Identifier: MIT
#include "postgresql/label_keeper.h"

#include <gtest/gtest.h>

#include <future>
#include <stdexcept>

namespace holdfast::postgresql {
namespace {

using base::Deadline;
using base::ErrorCode;
using base::Result;
using namespace std::chrono_literals;

class LabelKeeperTest : public ::testing::Test {
 protected:
  // A disk that answers when it is told to.
  LabelKeeper::Writer slow() {
    return [this]() -> Result<void> {
      disk_.get_future().wait();
      ++written_;
      return {};
    };
  }
  LabelKeeper::Writer quick() {
    return [this]() -> Result<void> {
      ++written_;
      return {};
    };
  }

  base::Waker waker_;
  std::promise<void> disk_;
  int written_ = 0;
  LabelKeeper keeper_{waker_};
};

TEST_F(LabelKeeperTest, ReturnsWhatTheWriterReturns) {
  EXPECT_TRUE(keeper_.keep(quick(), Deadline::in(10s)));
  const auto failed = keeper_.keep(
      []() -> Result<void> { return base::Error(ErrorCode::kNoSpace, "full"); }, Deadline::in(10s));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code(), ErrorCode::kNoSpace);
  EXPECT_TRUE(keeper_.keep(quick(), Deadline::in(10s)));
  EXPECT_EQ(written_, 2);
}

TEST_F(LabelKeeperTest, DoesNotOutlastItsDeadlineAndTheWriterGoesOn) {
  const auto late = keeper_.keep(slow(), Deadline::in(30ms));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code(), ErrorCode::kTimedOut);
  EXPECT_EQ(late.error().text(), "the disk does not answer in time");
  // A second one does not begin before the first is through.
  const auto behind = keeper_.keep(quick(), Deadline::in(30ms));
  ASSERT_FALSE(behind);
  EXPECT_EQ(behind.error().code(), ErrorCode::kTimedOut);
  disk_.set_value();
  EXPECT_TRUE(keeper_.keep(quick(), Deadline::in(10s)));
  EXPECT_EQ(written_, 2);
}

TEST_F(LabelKeeperTest, CanBeInterrupted) {
  waker_.interrupt();
  const auto interrupted = keeper_.keep(slow(), Deadline::in(10s));
  disk_.set_value();
  ASSERT_FALSE(interrupted);
  EXPECT_EQ(interrupted.error().code(), ErrorCode::kCancelled);
}

TEST_F(LabelKeeperTest, LetsNothingThatIsThrownPass) {
  const auto thrown = keeper_.keep([]() -> Result<void> { throw std::runtime_error("no memory"); },
                                   Deadline::in(10s));
  ASSERT_FALSE(thrown);
  EXPECT_EQ(thrown.error().text(), "no memory");
}

}  // namespace
}  // namespace holdfast::postgresql
