// SPDX-License-Identifier: MIT
#include "support/scripted_peer.h"

#include <gtest/gtest.h>

#include "base/unix_socket.h"

namespace holdfast::support {
namespace {

using base::Deadline;
using base::Json;
using namespace std::chrono_literals;

class ScriptedPeerTest : public ::testing::Test {
 protected:
  void connect(const ScriptedPeer& peer) {
    auto connected = base::connect_unix(peer.path(), deadline_);
    ASSERT_TRUE(connected);
    client_ = std::move(*connected);
  }
  void send(const std::string& text) {
    EXPECT_TRUE(base::send_all(client_.get(), text, deadline_));
  }
  [[nodiscard]] std::string line() {
    auto line = base::receive_line(client_.get(), buffer_, 4096, deadline_);
    return line ? *line : line.error().text();
  }

  const Deadline deadline_ = Deadline::in(10s);
  base::UniqueFd client_;
  std::string buffer_;
};

TEST_F(ScriptedPeerTest, GreetsAndAnswersInTheOrderOfItsScript) {
  ScriptedPeer peer("hello\n", {returns("one", 1), fails("two", "GenericError", "no"),
                                sends("three", "as it is\n")});
  connect(peer);
  EXPECT_EQ(line(), "hello");
  send("{\"execute\": \"one\", \"id\": 7}\n{\"execute\": \"two\"}\n");
  EXPECT_EQ(line(), "{\"return\":1,\"id\":7}");
  EXPECT_EQ(line(), "{\"error\":{\"class\":\"GenericError\",\"desc\":\"no\"}}");
  send("{\"execute\": ");
  send("\"three\"}\n");
  EXPECT_EQ(line(), "as it is");
  EXPECT_EQ(peer.finish(), "");
}

TEST_F(ScriptedPeerTest, SynchronisesWithWhatWasUnsentBefore) {
  ScriptedPeer peer("", {syncs("late\n")});
  connect(peer);
  send("\xFF{\"execute\": \"guest-sync-delimited\", \"arguments\": {\"id\": 42}}\n");
  EXPECT_EQ(line(), "late");
  EXPECT_EQ(line(), "\xFF{\"return\":42}");
  EXPECT_EQ(peer.finish(), "");
}

TEST_F(ScriptedPeerTest, ComplainsAboutACommandThatIsNotTheNext) {
  ScriptedPeer peer("", {returns("one", 1), returns("two", 2)});
  connect(peer);
  send("{\"execute\": \"two\"}\n");
  EXPECT_EQ(line(), "the other side closed the connection");
  EXPECT_EQ(peer.finish(), "'two' came, expected was 'one'");
}

TEST_F(ScriptedPeerTest, ComplainsAboutACommandAfterTheEnd) {
  ScriptedPeer peer("", {});
  connect(peer);
  send("{\"execute\": \"one\"}\n");
  EXPECT_EQ(line(), "the other side closed the connection");
  EXPECT_EQ(peer.finish(), "'one' came, expected was 'the end'");
}

TEST_F(ScriptedPeerTest, ComplainsAboutAnEntryThatNobodyAskedFor) {
  ScriptedPeer peer("", {returns("one", 1)});
  connect(peer);
  EXPECT_EQ(peer.finish(), "nobody asked for 'one'");
}

TEST_F(ScriptedPeerTest, ComplainsAboutWhatIsNoRequest) {
  ScriptedPeer peer("", {returns("one", 1)});
  connect(peer);
  send("{]\n");
  EXPECT_EQ(line(), "the other side closed the connection");
  EXPECT_EQ(peer.finish(), "not a request: {]");
}

}  // namespace
}  // namespace holdfast::support
