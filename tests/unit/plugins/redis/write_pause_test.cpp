// SPDX-License-Identifier: MIT
//
// The order of what is sent, and what comes of answers that a real server gives at bad moments
// only. Against real servers: tests/server/redis_*_test.py.
#include "redis/write_pause.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "scripted_server.h"

namespace holdfast::redis {
namespace {

using base::Deadline;
using base::ErrorCode;
using base::Millis;

const std::string kWaiting = bulk("id=1 flags=b cmd=publish \n");
const std::string kIdle = bulk("id=1 flags=N cmd=publish \n");
const std::string kAnnounce = std::string("PUBLISH ") + kChannel + " ";

using Script = std::vector<Entry>;

Script operator+(Script one, const Script& other) {
  one.insert(one.end(), other.begin(), other.end());
  return one;
}

// witness, then control
Script connecting() {
  return {{"CLIENT SETNAME holdfast", "+OK\r\n"},
          {"CLIENT ID", ":1\r\n"},
          {"CLIENT SETNAME holdfast", "+OK\r\n"},
          {"CLIENT ID", ":2\r\n"},
          {"INFO", info()}};
}

Script begins() {
  return {{kAnnounce, ":0\r\n"},
          {"CLIENT PAUSE 5000 WRITE", "+OK\r\n"},
          {kAnnounce, ""},
          {"CLIENT LIST ID 1", kWaiting}};
}

class WritePauseTest : public ::testing::Test {
 protected:
  static Patience patience(int milliseconds = 5000) {
    return {.deadline = Deadline::in(Millis(milliseconds))};
  }

  void script(const Script& entries) {
    // An announcement whose answer takes 2 ms is asked after, and nobody is kept waiting then.
    const Script look{{.command = "CLIENT LIST ID 1", .reply = kIdle, .aside = true}};
    server_ = std::make_unique<ScriptedServer>(entries + look);
    connect_.endpoint.socket = server_->path();
  }
  // Connects, and goes on with the rest of the script.
  void connect(const Script& rest) {
    script(connecting() + rest);
    ASSERT_TRUE(pause_.connect(connect_, patience()));
  }
  base::Result<void> begin() { return pause_.begin("r1", Millis(5000), patience()); }
  bool noted() { return PauseNote(note_).read().has_value(); }
  void TearDown() override { EXPECT_EQ(server_->finish(), ""); }

  support::TemporaryDirectory directory_;
  std::string note_ = directory_.file("note");
  ConnectSettings connect_;
  std::unique_ptr<ScriptedServer> server_;
  WritePause pause_{note_};
};

TEST_F(WritePauseTest, IsShownByTheServerAndProven) {
  connect(begins() + Script{{"CLIENT LIST ID 1", kWaiting}});
  ASSERT_TRUE(begin());
  EXPECT_TRUE(noted());
  EXPECT_TRUE(pause_.prove(patience()));
}

TEST_F(WritePauseTest, LooksAgainAsLongAsTheServerHasNotReadTheAnnouncementYet) {
  connect({{kAnnounce, ":0\r\n"},
           {"CLIENT PAUSE 5000 WRITE", "+OK\r\n"},
           {kAnnounce, ""},
           {"CLIENT LIST ID 1", kIdle},
           {"CLIENT LIST ID 1", kIdle},
           {"CLIENT LIST ID 1", kWaiting}});
  EXPECT_TRUE(begin());
}

TEST_F(WritePauseTest, IsNotBelievedWhenTheAnnouncementIsAnswered) {
  connect({{kAnnounce, ":0\r\n"},
           {"CLIENT PAUSE 5000 WRITE", "+OK\r\n"},
           {kAnnounce, ":0\r\n"},
           {"CLIENT UNPAUSE", "+OK\r\n"}});
  const auto refused = begin();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().text(), "the server took CLIENT PAUSE, but does not hold writes");
  EXPECT_FALSE(noted());
}

TEST_F(WritePauseTest, IsNotBegunWhereSomebodyElsePauses) {
  connect({{kAnnounce, ""}, {"CLIENT LIST ID 1", kWaiting}});
  const auto refused = begin();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kBusy);
  EXPECT_FALSE(noted());
}

TEST_F(WritePauseTest, IsUndoneOnTheSameConnectionWhenItsReplyDoesNotCome) {
  // The order on one connection is the order in which the server will work them off.
  connect({{kAnnounce, ":0\r\n"}, {"CLIENT PAUSE 5000 WRITE", ""}, {"CLIENT UNPAUSE", ""}});
  const auto late = pause_.begin("r1", Millis(5000), patience(500));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code(), ErrorCode::kTimedOut);
  EXPECT_TRUE(noted()) << "nobody knows whether it is over";
}

TEST_F(WritePauseTest, IsUndoneOverANewConnectionWhenTheOldOneBreaks) {
  script(connecting() + Script{{kAnnounce, ":0\r\n"},
                               {"CLIENT PAUSE 5000 WRITE", "", true},
                               {"CLIENT UNPAUSE", "+OK\r\n"}});
  WritePause pause(note_, Millis(1000));
  ASSERT_TRUE(pause.connect(connect_, patience()));
  EXPECT_FALSE(pause.begin("r1", Millis(5000), patience()));
  EXPECT_FALSE(noted());
}

TEST_F(WritePauseTest, IsUndoneWhenItIsInterrupted) {
  connect(begins() + Script{{"CLIENT UNPAUSE", "+OK\r\n"}});
  ASSERT_TRUE(begin());
  pause_.interrupt();
  EXPECT_EQ(pause_.prove(patience()).error().code(), ErrorCode::kHoldLost);
  EXPECT_TRUE(pause_.end({.deadline = Deadline::in(Millis(1000)), .deaf = true}));
  EXPECT_FALSE(noted());
}

TEST_F(WritePauseTest, IsLostWhenTheServerDoesNotShowItAnyMore) {
  connect(begins() + Script{{"CLIENT LIST ID 1", kIdle}, {"CLIENT UNPAUSE", "+OK\r\n"}});
  ASSERT_TRUE(begin());
  const auto lost = pause_.prove(patience());
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().text(), "the server does not hold writes any more");
  pause_.abandon();
}

TEST_F(WritePauseTest, ThatAnotherProcessHasLeftIsEndedOnTheSameRunOfTheServerOnly) {
  ASSERT_TRUE(PauseNote(note_).write("r1", Millis(5000)));
  script(connecting() + Script{{"CLIENT UNPAUSE", "+OK\r\n"}, {"INFO", info()}});
  ASSERT_TRUE(pause_.connect(connect_, patience()));
  EXPECT_FALSE(noted());
  ASSERT_TRUE(PauseNote(note_).write("another run", Millis(5000)));
  ASSERT_TRUE(pause_.connect(connect_, patience()));
  EXPECT_FALSE(noted());
}

TEST_F(WritePauseTest, ThatCanNotBeNotedIsNotBegun) {
  note_ = "/nonexistent/note";
  WritePause pause(note_);
  script(connecting() + Script{{kAnnounce, ":0\r\n"}});
  ASSERT_TRUE(pause.connect(connect_, patience()));
  EXPECT_FALSE(pause.begin("r1", Millis(5000), patience()));
}

TEST_F(WritePauseTest, ExtendedALittleTooLateIsTakenBack) {
  // The reply to the announcement comes with that to the new pause: between them there was none.
  connect(Script{{kAnnounce, ":0\r\n"},
                 {"CLIENT PAUSE 5000 WRITE", "+OK\r\n"},
                 {kAnnounce, ""},
                 {"CLIENT LIST ID 1", kWaiting},
                 {"CLIENT PAUSE 9000 WRITE", "+OK\r\n"},
                 {"CLIENT LIST ID 1", kIdle}});
  ASSERT_TRUE(begin());
  const auto lost = pause_.extend("r1", Millis(9000), patience());
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().code(), ErrorCode::kHoldLost);
}

}  // namespace
}  // namespace holdfast::redis
