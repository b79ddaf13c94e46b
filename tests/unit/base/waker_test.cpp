// SPDX-License-Identifier: MIT
#include "base/waker.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <thread>

namespace holdfast::base {
namespace {

using std::chrono::milliseconds;

class WakerWait : public ::testing::Test {
 protected:
  WakerWait() {
    std::array<int, 2> ends{};
    if (::pipe(ends.data()) != 0) throw std::runtime_error("pipe");
    reader_.reset(ends[0]);
    writer_.reset(ends[1]);
  }

  UniqueFd reader_;
  UniqueFd writer_;
  Waker waker_;
};

TEST_F(WakerWait, ReturnsWhenTheDescriptorIsReady) {
  ASSERT_EQ(::write(writer_.get(), "x", 1), 1);
  EXPECT_TRUE(waker_.wait(reader_.get(), POLLIN, Deadline::in(milliseconds(5000)), {}));
}

TEST_F(WakerWait, TimesOutAtTheDeadlineAndNotBefore) {
  const Deadline deadline = Deadline::in(milliseconds(30));
  const auto ended = waker_.wait(reader_.get(), POLLIN, deadline, {});
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().code(), ErrorCode::kTimedOut);
  EXPECT_TRUE(deadline.passed());
}

TEST_F(WakerWait, IsEndedByAStopRequestOfAnotherThread) {
  std::stop_source source;
  std::jthread stopper([&] { source.request_stop(); });
  const auto ended =
      waker_.wait(reader_.get(), POLLIN, Deadline::in(milliseconds(60000)), source.get_token());
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().code(), ErrorCode::kCancelled);
}

TEST_F(WakerWait, IsEndedByAnInterruptOfAnotherThreadAndStaysSoUntilReset) {
  std::jthread interrupter([&] { waker_.interrupt(); });
  const Deadline far = Deadline::in(milliseconds(60000));
  EXPECT_EQ(waker_.wait(reader_.get(), POLLIN, far, {}).error().code(), ErrorCode::kCancelled);
  EXPECT_EQ(waker_.wait(reader_.get(), POLLIN, far, {}).error().code(), ErrorCode::kCancelled);
  EXPECT_TRUE(waker_.interrupted());
  interrupter.join();
  waker_.reset();
  ASSERT_EQ(::write(writer_.get(), "x", 1), 1);
  EXPECT_TRUE(waker_.wait(reader_.get(), POLLIN, far, {}));
}

TEST_F(WakerWait, ForNoDescriptorIsAPause) {
  EXPECT_EQ(waker_.wait(-1, 0, Deadline::in(milliseconds(5)), {}).error().code(),
            ErrorCode::kTimedOut);
}

TEST_F(WakerWait, SeesTheOtherEndClose) {
  writer_.reset();
  EXPECT_TRUE(waker_.wait(reader_.get(), POLLIN, Deadline::in(milliseconds(5000)), {}));
}

}  // namespace
}  // namespace holdfast::base
