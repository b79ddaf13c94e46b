// SPDX-License-Identifier: MIT
#include "redis/redis_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scripted_server.h"

namespace holdfast::redis {
namespace {

using base::Deadline;
using base::ErrorCode;
using base::Millis;

Patience patience(int milliseconds = 5000) {
  return {.deadline = Deadline::in(Millis(milliseconds))};
}

ConnectSettings settings(const ScriptedServer& server, const std::string& user = {},
                         const std::string& password = {}) {
  ConnectSettings connect;
  connect.endpoint.socket = server.path();
  connect.user = user;
  connect.password = base::Secret(password);
  return connect;
}

TEST(RedisSession, SaysWhoItIsAndLearnsItsNumber) {
  for (const auto& [user, password, command] :
       {std::tuple("", "", ""), std::tuple("", "pw", "AUTH pw"), std::tuple("u", "pw", "AUTH u pw"),
        std::tuple("u", "", "AUTH u ")}) {
    std::vector<Entry> script;
    if (*command != '\0') script.push_back({command, "+OK\r\n"});
    script.push_back({"CLIENT SETNAME holdfast", "+OK\r\n"});
    script.push_back({"CLIENT ID", ":7\r\n"});
    ScriptedServer server(script);
    base::Waker waker;
    RedisSession session(waker);
    ASSERT_TRUE(session.begin(settings(server, user, password), patience()));
    EXPECT_EQ(session.id(), 7);
    EXPECT_EQ(server.finish(), "");
  }
}

TEST(RedisSession, ThatIsRefusedIsClosed) {
  ScriptedServer server({Entry{"AUTH u wrong", "-WRONGPASS invalid\r\n"}});
  base::Waker waker;
  RedisSession session(waker);
  const auto refused = session.begin(settings(server, "u", "wrong"), patience());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kPermission);
  EXPECT_EQ(session.fd(), -1);
  EXPECT_EQ(server.finish(), "");
}

class RedisSessionTest : public ::testing::Test {
 protected:
  // Begins a session against the rest of the script.
  RedisSession& begin(std::vector<Entry> script) {
    script.insert(script.begin(),
                  {{"CLIENT SETNAME holdfast", "+OK\r\n"}, {"CLIENT ID", ":7\r\n"}});
    server_ = std::make_unique<ScriptedServer>(script);
    EXPECT_TRUE(session_.begin(settings(*server_), patience()));
    return session_;
  }
  void TearDown() override { EXPECT_EQ(server_->finish(), ""); }

  std::unique_ptr<ScriptedServer> server_;
  base::Waker waker_;
  RedisSession session_{waker_};
};

TEST_F(RedisSessionTest, AsksWhatItMayDoWithoutDoingIt) {
  auto& session = begin({{"MULTI", "+OK\r\n"},
                         {"CLIENT PAUSE none WRITE", "+QUEUED\r\n"},
                         {"CLIENT UNPAUSE", "+QUEUED\r\n"},
                         {"CLIENT LIST ID 1", "+QUEUED\r\n"},
                         {"BGSAVE", "+QUEUED\r\n"},
                         {"DISCARD", "+OK\r\n"}});
  EXPECT_TRUE(session.check_control_privileges(true, patience()));
}

TEST_F(RedisSessionTest, NamesTheFirstThatItMayNotAndLeavesTheTransaction) {
  auto& session = begin({{"MULTI", "+OK\r\n"},
                         {"CLIENT PAUSE none WRITE", "+QUEUED\r\n"},
                         {"CLIENT UNPAUSE", "-NOPERM no\r\n"},
                         {"DISCARD", "+OK\r\n"}});
  const auto refused = session.check_control_privileges(false, patience());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().text(), "the account may not use CLIENT UNPAUSE: NOPERM no");
}

TEST_F(RedisSessionTest, IsKeptWaitingWhereThePublishOfItsIsBlocked) {
  auto& session = begin(
      {{"CLIENT LIST ID 9", bulk("id=9 addr=x flags=bU db=0 qbuf=0 cmd=publish user=default\n")},
       {"CLIENT LIST ID 9", bulk("id=9 addr=x flags=N db=0 qbuf=0 cmd=publish user=default\n")},
       {"CLIENT LIST ID 9", bulk("id=9 addr=x flags=b db=0 qbuf=0 cmd=blpop user=default\n")},
       {"CLIENT LIST ID 9", bulk("")}});
  EXPECT_TRUE(*session.is_kept_waiting(9, patience()));
  for (int i = 0; i < 3; ++i)
    EXPECT_FALSE(*session.is_kept_waiting(9, patience()));
}

TEST_F(RedisSessionTest, TellsASaveUnderWayFromOneThatIsRefused) {
  auto& session = begin({{"BGSAVE", "-ERR Background save already in progress\r\n"},
                         {"BGSAVE", "-MISCONF no\r\n"},
                         {"BGSAVE", "+Background saving started\r\n"}});
  EXPECT_EQ(session.save_in_background(patience()).error().code(), ErrorCode::kBusy);
  EXPECT_EQ(session.save_in_background(patience()).error().code(), ErrorCode::kRefused);
  EXPECT_TRUE(session.save_in_background(patience()));
}

}  // namespace
}  // namespace holdfast::redis
