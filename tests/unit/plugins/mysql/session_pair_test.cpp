// SPDX-License-Identifier: MIT
#include "mysql/session_pair.h"

#include <gtest/gtest.h>

namespace holdfast::mysql {
namespace {

using base::Deadline;
using base::ErrorCode;
using base::Millis;

class ClosedSessionPair : public ::testing::Test {
 protected:
  Patience soon() { return {.deadline = Deadline::in(Millis(1000))}; }
  SessionPair pair_;
};

TEST_F(ClosedSessionPair, HasNothingToWatchAndIsNotUsable) {
  EXPECT_FALSE(pair_.usable());
  EXPECT_EQ(pair_.lock().fd(), -1);
}

TEST_F(ClosedSessionPair, FailsEveryStatementAtOnce) {
  const auto refused = pair_.lock().lock_tables(soon());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kUnreachable);
  EXPECT_EQ(refused.error().text(), "the session is closed");
}

TEST_F(ClosedSessionPair, MayBeAbandonedAndInterrupted) {
  pair_.abandon();
  pair_.interrupt();
  pair_.close();
  EXPECT_FALSE(pair_.usable());
}

TEST_F(ClosedSessionPair, StaysClosedWhenThereIsNoServer) {
  ConnectSettings settings;
  settings.socket = "/nonexistent/mysqld.sock";
  const auto refused = pair_.ensure(settings, soon());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kUnreachable);
  EXPECT_FALSE(pair_.usable());
}

TEST(Table, GivesTheFirstRowByNumberOrName) {
  const Table table{{"File", "Position"}, {{"binlog.000001", "913"}, {"other", std::nullopt}}};
  EXPECT_EQ(table.first(), "binlog.000001");
  EXPECT_EQ(table.first("Position"), "913");
  EXPECT_EQ(table.first("Nothing"), "");
  EXPECT_EQ(table.first(7), "");
  EXPECT_EQ((Table{{"a"}, {{std::nullopt}}}.first("a")), "");
  EXPECT_EQ(Table{}.first(), "");
}

}  // namespace
}  // namespace holdfast::mysql
