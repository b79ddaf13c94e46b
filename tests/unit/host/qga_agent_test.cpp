// SPDX-License-Identifier: MIT
#include "qga/agent.h"

#include <gtest/gtest.h>

#include "qga/base64.h"
#include "support/scripted_peer.h"

namespace holdfast::host::qga {
namespace {

using base::Deadline;
using base::ErrorCode;
using base::Json;
using base::Millis;
using namespace support;

Deadline soon() {
  return Deadline::in(Millis(5000));
}

TEST(QgaAgent, SynchronisesBeforeTheFirstCommand) {
  ScriptedPeer peer("", {syncs(), returns("guest-ping", Json::object())});
  auto agent = Agent::connect(peer.path(), soon());
  ASSERT_TRUE(agent);
  EXPECT_TRUE(agent->execute("guest-ping", Json::object(), soon()));
  EXPECT_EQ(peer.finish(), "");
}

TEST(QgaAgent, DiscardsLateAnswersHalfLinesAndWrongNumbers) {
  const std::string stale =
      "{\"return\": {}}\n{\"return\": 3}\n\xFF{\"return\": 12345}\nnot even JSON\n{\"ret";
  ScriptedPeer peer("", {syncs(stale), returns("guest-fsfreeze-status", "thawed")});
  auto agent = Agent::connect(peer.path(), soon());
  ASSERT_TRUE(agent);
  const auto status = agent->execute("guest-fsfreeze-status", Json::object(), soon());
  ASSERT_TRUE(status) << status.error().text();
  EXPECT_EQ(*status, "thawed");
  EXPECT_EQ(peer.finish(), "");
}

TEST(QgaAgent, SynchronisesAgainAfterATimeOutAndDiscardsTheLateAnswer) {
  ScriptedPeer peer("", {syncs(), sends("guest-fsfreeze-freeze", ""), syncs("{\"return\": 3}\n"),
                         returns("guest-fsfreeze-status", "frozen")});
  auto agent = Agent::connect(peer.path(), soon());
  ASSERT_TRUE(agent);
  const auto frozen =
      agent->execute("guest-fsfreeze-freeze", Json::object(), Deadline::in(Millis(500)));
  ASSERT_FALSE(frozen);
  EXPECT_EQ(frozen.error().code(), ErrorCode::kTimedOut);
  const auto status = agent->execute("guest-fsfreeze-status", Json::object(), soon());
  ASSERT_TRUE(status) << status.error().text();
  EXPECT_EQ(*status, "frozen");
  EXPECT_EQ(peer.finish(), "");
}

TEST(QgaAgent, PassesOnWhyTheGuestIsOutOfReach) {
  ScriptedPeer peer(
      "", {syncs(), sends("guest-ping", "{\"holdfast-channel-problem\": \"no \\u001bagent\"}\n")});
  auto agent = Agent::connect(peer.path(), soon());
  ASSERT_TRUE(agent);
  const auto ping = agent->execute("guest-ping", Json::object(), soon());
  ASSERT_FALSE(ping);
  EXPECT_EQ(ping.error().code(), ErrorCode::kUnreachable);
  EXPECT_EQ(ping.error().text(), "guest agent '" + peer.path() + "': guest-ping: no \\x1bagent");
  EXPECT_EQ(peer.finish(), "");
}

TEST(QgaAgent, EscapesTheWordsOfTheGuest) {
  ScriptedPeer peer("", {syncs(), fails("guest-ping", "GenericError", "\x1b]0;owned\x07 evil\n")});
  auto agent = Agent::connect(peer.path(), soon());
  ASSERT_TRUE(agent);
  const auto answer = agent->execute("guest-ping", Json::object(), soon());
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code(), ErrorCode::kGuest);
  EXPECT_EQ(answer.error().text(),
            "guest agent '" + peer.path() + "': guest-ping: \\x1b]0;owned\\x07 evil\\x0a");
}

TEST(QgaAgent, RefusesALineThatNeverEnds) {
  ScriptedPeer peer("", {syncs(), sends("guest-ping", std::string(2U << 20U, 'x'))});
  auto agent = Agent::connect(peer.path(), soon());
  ASSERT_TRUE(agent);
  const auto answer = agent->execute("guest-ping", Json::object(), soon());
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code(), ErrorCode::kTooLarge);
}

TEST(QgaAgent, RefusesAFloodBeforeTheSynchronisation) {
  std::string flood;
  for (int i = 0; i < 300'000; ++i)
    flood += "{\"return\": 1}\n\n\n\n";
  ScriptedPeer peer("", {sends("guest-sync-delimited", flood)});
  auto agent = Agent::connect(peer.path(), soon());
  ASSERT_TRUE(agent);
  const auto synced = agent->sync(Deadline::in(Millis(20000)));
  ASSERT_FALSE(synced);
  EXPECT_EQ(synced.error().code(), ErrorCode::kTooLarge);
}

TEST(QgaAgent, RefusesAnAnswerNestedTooDeep) {
  ScriptedPeer peer("", {syncs(), sends("guest-ping", "{\"return\":" + std::string(5000, '[') +
                                                          std::string(5000, ']') + "}\n")});
  auto agent = Agent::connect(peer.path(), soon());
  ASSERT_TRUE(agent);
  const auto answer = agent->execute("guest-ping", Json::object(), soon());
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code(), ErrorCode::kTooLarge);
}

TEST(QgaAgent, ReadsAFileInPiecesAndClosesIt) {
  ScriptedPeer peer(
      "", {syncs(), returns("guest-file-open", 1000),
           returns("guest-file-read", {{"count", 3}, {"buf-b64", "YWJj"}, {"eof", false}}),
           returns("guest-file-read", {{"count", 1}, {"buf-b64", "ZA=="}, {"eof", true}}),
           returns("guest-file-close", Json::object())});
  auto agent = Agent::connect(peer.path(), soon());
  ASSERT_TRUE(agent);
  const auto content = agent->read_file("/run/x", 100, soon());
  ASSERT_TRUE(content) << content.error().text();
  EXPECT_EQ(*content, "abcd");
  EXPECT_EQ(peer.finish(), "");
}

TEST(QgaAgent, BoundsAFileWithoutEnd) {
  std::vector<Exchange> script{syncs(), returns("guest-file-open", 1000)};
  for (int i = 0; i < 4; ++i) {
    script.push_back(
        returns("guest-file-read", {{"count", 3}, {"buf-b64", "YWJj"}, {"eof", false}}));
  }
  script.push_back(returns("guest-file-close", Json::object()));
  ScriptedPeer peer("", script);
  auto agent = Agent::connect(peer.path(), soon());
  ASSERT_TRUE(agent);
  const auto content = agent->read_file("/run/x", 10, soon());
  ASSERT_FALSE(content);
  EXPECT_EQ(content.error().code(), ErrorCode::kTooLarge);
  EXPECT_EQ(peer.finish(), "");
}

TEST(QgaAgent, TellsAMissingFileFromAnUnreadableOne) {
  ScriptedPeer peer(
      "", {syncs(),
           fails("guest-file-open", "GenericError",
                 "failed to open file '/run/x' (mode: 'r'): No such file or directory"),
           fails("guest-file-open", "CommandNotFound", "Command guest-file-open has been disabled"),
           fails("guest-file-open", "GenericError", "Permission denied")});
  auto agent = Agent::connect(peer.path(), soon());
  ASSERT_TRUE(agent);
  for (const ErrorCode code : {ErrorCode::kNotFound, ErrorCode::kUnsupported, ErrorCode::kGuest}) {
    const auto content = agent->read_file("/run/x", 10, soon());
    ASSERT_FALSE(content);
    EXPECT_EQ(content.error().code(), code);
  }
  EXPECT_EQ(peer.finish(), "");
}

TEST(Base64, DecodesWhatIsPaddedAndNothingElse) {
  EXPECT_EQ(*decode_base64(""), "");
  EXPECT_EQ(*decode_base64("YQ=="), "a");
  EXPECT_EQ(*decode_base64("AP+/"), std::string("\x00\xFF\xBF", 3));
  for (const char* wrong : {"Y", "YQ=", "Y===", "YQ==YQ==", "Y Q=", "\xFF\xFF\xFF\xFF"}) {
    EXPECT_FALSE(decode_base64(wrong)) << wrong;
  }
}

}  // namespace
}  // namespace holdfast::host::qga
