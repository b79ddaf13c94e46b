// SPDX-License-Identifier: MIT
#include "core/log_ring.h"

#include <gtest/gtest.h>
#include <spdlog/logger.h>

#include <string>
#include <vector>

namespace holdfast::core {
namespace {

using Lines = std::vector<std::string>;

class ListSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  [[nodiscard]] const Lines& lines() const { return lines_; }

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    lines_.emplace_back(message.payload.data(), message.payload.size());
  }
  void flush_() override {}

  Lines lines_;
};

class LogRingTest : public ::testing::Test {
 protected:
  std::shared_ptr<ListSink> list_ = std::make_shared<ListSink>();
  std::shared_ptr<LogRing> ring_ = std::make_shared<LogRing>(list_, 2);
  spdlog::logger log_{"test", ring_};
};

TEST_F(LogRingTest, PassesLinesOnWhileNothingIsHeld) {
  log_.info("one");
  EXPECT_EQ(list_->lines(), (Lines{"one"}));
}

TEST_F(LogRingTest, KeepsLinesWhileAWindowIsOpenAndPassesThemOnInOrderAfterIt) {
  ring_->hold();
  log_.info("one {}", 1);
  log_.error("two");
  log_.flush();
  EXPECT_EQ(list_->lines(), Lines{});
  ring_->flush_held();
  log_.info("three");
  EXPECT_EQ(list_->lines(), (Lines{"one 1", "two", "three"}));
}

TEST_F(LogRingTest, SaysHowManyLinesItCouldNotKeep) {
  ring_->hold();
  for (int i = 0; i < 5; ++i)
    log_.info("{}", i);
  ring_->flush_held();
  EXPECT_EQ(list_->lines(),
            (Lines{"0", "1", "3 lines were dropped while the filesystems were frozen"}));
  ring_->hold();
  log_.info("again");
  ring_->flush_held();
  EXPECT_EQ(list_->lines().size(), 4U);
}

}  // namespace
}  // namespace holdfast::core
