// SPDX-License-Identifier: MIT
#include "redis/redis_connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "scripted_server.h"

namespace holdfast::redis {
namespace {

using base::Deadline;
using base::ErrorCode;
using base::Millis;

class Connection : public RedisConnection {
 public:
  using RedisConnection::call;
  using RedisConnection::receive;
  using RedisConnection::RedisConnection;
  using RedisConnection::send;
};

class RedisConnectionTest : public ::testing::Test {
 protected:
  static Patience patience(int milliseconds = 5000) {
    return {.deadline = Deadline::in(Millis(milliseconds))};
  }
  void open(const ScriptedServer& server) {
    ASSERT_TRUE(connection_.open({.socket = server.path()}, patience()));
  }

  base::Waker waker_;
  Connection connection_{waker_};
};

TEST_F(RedisConnectionTest, TakesRepliesOfEveryKindThatIsAskedFor) {
  ScriptedServer server({{"PING", "+PONG\r\n"},
                         {"CLIENT ID", ":42\r\n"},
                         {"INFO", "$3\r\na:b\r\n"},
                         {"AUTH a b c", "-WRONGPASS no\r\n"}});
  open(server);
  EXPECT_EQ(connection_.call({"PING"}, patience())->text, "PONG");
  EXPECT_EQ(connection_.call({"CLIENT", "ID"}, patience())->number, 42);
  EXPECT_EQ(connection_.call({"INFO"}, patience())->text, "a:b");
  const auto refused = connection_.call({"AUTH", "a b", "c"}, patience());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kPermission);
  EXPECT_EQ(refused.error().text(), "WRONGPASS no");
  EXPECT_TRUE(connection_.usable()) << "an error of the server is an answer";
  EXPECT_EQ(server.finish(), "");
}

TEST_F(RedisConnectionTest, PassesOverRepliesThatNobodyHasFetched) {
  ScriptedServer server({{"ONE", ""}, {"TWO", ""}, {"THREE", "+1\r\n-ERR 2\r\n+3\r\n"}});
  open(server);
  ASSERT_TRUE(connection_.send({"ONE"}, patience()));
  const auto late = connection_.call({"TWO"}, patience(50));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code(), ErrorCode::kTimedOut);
  EXPECT_THAT(late.error().text(), ::testing::MatchesRegex("timed out after [0-9]+ ms"));
  EXPECT_TRUE(connection_.usable() && connection_.awaits_reply());
  EXPECT_EQ(connection_.call({"THREE"}, patience())->text, "3");
  EXPECT_FALSE(connection_.awaits_reply());
  EXPECT_EQ(server.finish(), "");
}

TEST_F(RedisConnectionTest, IsBrokenByWhatIsNoReply) {
  for (const char* bytes : {"nonsense\r\n", "*1\r\n:1\r\n", "_\r\n", "$-1\r\n"}) {
    ScriptedServer server({Entry{"PING", bytes}});
    open(server);
    const auto refused = connection_.call({"PING"}, patience());
    ASSERT_FALSE(refused) << bytes;
    EXPECT_EQ(refused.error().code(), ErrorCode::kProtocol) << bytes;
    EXPECT_FALSE(connection_.usable()) << bytes;
  }
}

TEST_F(RedisConnectionTest, MakesNoRoomForWhatAReplyOnlyAnnounces) {
  // Of as many elements as there can be, with nothing behind it.
  for (const char* bytes : {"*2147483647\r\n", "*1\r\n*2147483647\r\n"}) {
    ScriptedServer server({Entry{"INFO", bytes}});
    open(server);
    const auto refused = connection_.call({"INFO"}, patience());
    ASSERT_FALSE(refused) << bytes;
    EXPECT_EQ(refused.error().text(), "a reply of a kind that was not asked for");
    EXPECT_FALSE(connection_.usable());
  }
}

TEST_F(RedisConnectionTest, DoesNotTakeAReplyWithoutEnd) {
  ScriptedServer server({Entry{"INFO", "$9000000\r\n" + std::string(std::size_t{2} << 20U, 'x')}});
  open(server);
  const auto refused = connection_.call({"INFO"}, patience());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kTooLarge);
  connection_.close();  // the server is still sending
}

TEST_F(RedisConnectionTest, ShowsTheServersErrorsWithoutControlCharacters) {
  ScriptedServer server({Entry{"PING", "-ERR \x1b[2J\r\n"}});
  open(server);
  EXPECT_EQ(connection_.call({"PING"}, patience()).error().text(), "ERR \\x1b[2J");
}

TEST_F(RedisConnectionTest, SeesThatTheServerHasGone) {
  ScriptedServer server({Entry{"PING", "", true}});
  open(server);
  const auto refused = connection_.call({"PING"}, patience());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kUnreachable);
  EXPECT_TRUE(connection_.hung_up());
  EXPECT_EQ(connection_.call({"PING"}, patience()).error().text(), "the session is closed");
}

TEST_F(RedisConnectionTest, IsUnreachableWhereNobodyListens) {
  for (const Endpoint& endpoint :
       {Endpoint{.socket = "/nonexistent/sock"}, Endpoint{.host = "127.0.0.1", .port = "1"}}) {
    const auto refused = connection_.open(endpoint, patience());
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), ErrorCode::kUnreachable) << refused.error().text();
  }
}

TEST_F(RedisConnectionTest, IsEndedByAnInterruptButNotWhileItIsDeaf) {
  ScriptedServer server({{"PING", ""}, {"PING", ""}});
  open(server);
  waker_.interrupt();
  const auto interrupted = connection_.call({"PING"}, patience());
  ASSERT_FALSE(interrupted);
  EXPECT_EQ(interrupted.error().code(), ErrorCode::kCancelled);
  const auto deaf =
      connection_.call({"PING"}, {.deadline = Deadline::in(Millis(30)), .deaf = true});
  ASSERT_FALSE(deaf);
  EXPECT_EQ(deaf.error().code(), ErrorCode::kTimedOut);
  EXPECT_EQ(server.finish(), "");
}

TEST(RedisReply, HasACodeByItsFirstWord) {
  EXPECT_EQ(code_of_reply("NOPERM this user has no permissions"), ErrorCode::kPermission);
  EXPECT_EQ(code_of_reply("NOAUTH Authentication required."), ErrorCode::kPermission);
  EXPECT_EQ(code_of_reply("DENIED Redis is running in protected mode"), ErrorCode::kPermission);
  EXPECT_EQ(code_of_reply("BUSY Redis is busy running a script"), ErrorCode::kBusy);
  EXPECT_EQ(code_of_reply("LOADING Redis is loading the dataset in memory"), ErrorCode::kBusy);
  EXPECT_EQ(code_of_reply("ERR unknown command 'X'"), ErrorCode::kUnsupported);
  EXPECT_EQ(code_of_reply("ERR Unknown subcommand or wrong number of arguments"),
            ErrorCode::kUnsupported);
  EXPECT_EQ(code_of_reply("ERR syntax error"), ErrorCode::kRefused);
  EXPECT_EQ(code_of_reply(""), ErrorCode::kRefused);
}

}  // namespace
}  // namespace holdfast::redis
