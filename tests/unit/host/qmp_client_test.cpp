// SPDX-License-Identifier: MIT
#include "qmp/client.h"

#include <gtest/gtest.h>

#include "qmp/jobs.h"
#include "support/scripted_peer.h"

namespace holdfast::host::qmp {
namespace {

using base::Deadline;
using base::ErrorCode;
using base::Json;
using base::Millis;
using namespace support;

Deadline soon() {
  return Deadline::in(Millis(5000));
}

std::vector<Exchange> after_greeting(std::vector<Exchange> script) {
  script.insert(script.begin(), returns("qmp_capabilities", Json::object()));
  return script;
}

TEST(QmpClient, ConnectsNegotiatesAndKnowsTheVersion) {
  ScriptedPeer peer(kQmpGreeting, after_greeting({}));
  auto client = Client::connect(peer.path(), soon(), {});
  ASSERT_TRUE(client) << client.error().text();
  EXPECT_EQ(client->version(), "7.2.22");
  EXPECT_EQ(peer.finish(), "");
}

TEST(QmpClient, PassesOverTheAnswersToAClientThatIsGone) {
  const std::string late =
      "{\"return\": {}, \"id\": \"holdfast-12\"}\n"
      "{\"error\": {\"class\": \"GenericError\", \"desc\": \"\"}, \"id\": \"holdfast-13\"}\n";
  ScriptedPeer peer(late + kQmpGreeting, after_greeting({}));
  auto client = Client::connect(peer.path(), soon(), {});
  ASSERT_TRUE(client) << client.error().text();
  EXPECT_EQ(client->version(), "7.2.22");
  EXPECT_EQ(peer.finish(), "");
}

TEST(QmpClient, TakesNoGreetingForOneThatNeverComes) {
  ScriptedPeer peer("{\"return\": {}, \"id\": \"holdfast-12\"}\n", {});
  const auto client = Client::connect(peer.path(), Deadline::in(Millis(50)), {});
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().code(), ErrorCode::kTimedOut);
}

TEST(QmpClient, KeepsEventsThatComeBeforeAnAnswer) {
  const std::string event = "{\"event\": \"STOP\", \"data\": {\"a\": 1}, \"timestamp\": {}}\n";
  ScriptedPeer peer(kQmpGreeting, after_greeting({{"query-status", [&](const Json& request) {
                                                     return event +
                                                            returns("", "x").answer(request);
                                                   }}}));
  auto client = Client::connect(peer.path(), soon(), {});
  ASSERT_TRUE(client);
  const auto answer = client->execute("query-status", Json::object(), soon());
  ASSERT_TRUE(answer) << answer.error().text();
  EXPECT_EQ(*answer, "x");
  const auto kept = client->next_event(soon(), {});
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->name, "STOP");
  EXPECT_EQ(kept->data.at("a"), 1);
  EXPECT_EQ(peer.finish(), "");
}

TEST(QmpClient, SendsACommandAheadAndItsLastWordWhenItCounts) {
  const Json arguments{{"actions", {{{"type", "x"}, {"data", {{"node", "\"a\""}}}}}}};
  ScriptedPeer peer(kQmpGreeting, after_greeting({{"transaction", [&](const Json& request) {
                                                     const bool same =
                                                         request.at("arguments") == arguments;
                                                     return returns("", same).answer(request);
                                                   }}}));
  auto client = Client::connect(peer.path(), soon(), {});
  ASSERT_TRUE(client);
  EXPECT_FALSE(client->has_sent_ahead());
  const auto sent = client->send_ahead("transaction", arguments, soon());
  ASSERT_TRUE(sent) << sent.error().text();
  EXPECT_TRUE(client->has_sent_ahead());
  const auto answer = client->execute_ahead(soon());
  ASSERT_TRUE(answer) << answer.error().text();
  EXPECT_EQ(*answer, true);
  EXPECT_FALSE(client->has_sent_ahead());
  EXPECT_EQ(peer.finish(), "");
}

TEST(QmpClient, TakesBackWhatItHasSentAheadBeforeAnyOtherCommand) {
  ScriptedPeer peer(
      kQmpGreeting,
      after_greeting({fails("holdfast-taken-back", "CommandNotFound", "no such command"),
                      fails("holdfast-taken-back", "CommandNotFound", "no such command"),
                      returns("query-status", "x"), returns("query-status", "y")}));
  auto client = Client::connect(peer.path(), soon(), {});
  ASSERT_TRUE(client);
  ASSERT_TRUE(client->send_ahead("transaction", {{"a", 1}}, soon()));
  ASSERT_TRUE(client->send_ahead("transaction", {{"a", 2}}, soon()));
  for (const char* const expected : {"x", "y"}) {
    const auto answer = client->execute("query-status", Json::object(), soon());
    ASSERT_TRUE(answer) << answer.error().text();
    EXPECT_EQ(*answer, expected);
    EXPECT_FALSE(client->has_sent_ahead());
  }
  EXPECT_EQ(peer.finish(), "");
}

TEST(QmpClient, ReportsTheRefusalOfWhatItHasSentAhead) {
  ScriptedPeer peer(kQmpGreeting,
                    after_greeting({fails("transaction", "GenericError", "no such node")}));
  auto client = Client::connect(peer.path(), soon(), {});
  ASSERT_TRUE(client);
  ASSERT_TRUE(client->send_ahead("transaction", {{"a", 1}}, soon()));
  const auto refused = client->execute_ahead(soon());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().text(),
            "QEMU monitor '" + peer.path() + "': transaction: no such node");
}

TEST(QmpClient, DiscardsTheLateAnswerToACommandThatWasGivenUp) {
  std::string late;
  ScriptedPeer peer(kQmpGreeting, after_greeting({{"slow",
                                                   [&](const Json& request) {
                                                     late = returns("", "late").answer(request);
                                                     return std::string();
                                                   }},
                                                  {"quick", [&](const Json& request) {
                                                     return late +
                                                            returns("", "right").answer(request);
                                                   }}}));
  auto client = Client::connect(peer.path(), soon(), {});
  ASSERT_TRUE(client);
  const auto slow = client->execute("slow", Json::object(), Deadline::in(Millis(50)));
  ASSERT_FALSE(slow);
  EXPECT_EQ(slow.error().code(), ErrorCode::kTimedOut);
  const auto quick = client->execute("quick", Json::object(), soon());
  ASSERT_TRUE(quick) << quick.error().text();
  EXPECT_EQ(*quick, "right");
  EXPECT_EQ(peer.finish(), "");
}

// Lines that take longer to read than to send: a client that looked at the time only when there is
// nothing to read would go through all of them.
std::string flood_of(const std::string& first, const std::string& last) {
  std::string line = first;
  for (int i = 0; i < 2000; ++i)
    line += "{},";
  line += last;
  std::string flood;
  while (flood.size() < std::size_t{4} << 20U)
    flood += line;
  return flood;
}

TEST(QmpClient, TakesNoFloodOfOtherAnswersForAReasonToGoOnWaiting) {
  const std::string flood = flood_of("{\"return\":[", "0],\"id\":\"x\"}\n");
  const std::string event = "{\"event\": \"STOP\", \"data\": {}}\n";
  ScriptedPeer peer(kQmpGreeting, after_greeting({{"query-status", [&](const Json& request) {
                                                     return flood +
                                                            returns("", "late").answer(request) +
                                                            flood + event;
                                                   }}}));
  auto client = Client::connect(peer.path(), soon(), {});
  ASSERT_TRUE(client);
  const auto answer = client->execute("query-status", Json::object(), Deadline::in(Millis(20)));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code(), ErrorCode::kTimedOut);
  const auto next = client->next_event(Deadline::in(Millis(20)), {});
  ASSERT_FALSE(next);
  EXPECT_EQ(next.error().code(), ErrorCode::kTimedOut);
}

TEST(QmpClient, ReportsARefusalInPrintableWordsOfQemu) {
  ScriptedPeer peer(kQmpGreeting,
                    after_greeting({fails("blockdev-add", "GenericError", "bad \x1b[31m node"),
                                    fails("no-such", "CommandNotFound", "no such command")}));
  auto client = Client::connect(peer.path(), soon(), {});
  ASSERT_TRUE(client);
  const auto refused = client->execute("blockdev-add", {{"driver", "x"}}, soon());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kRefused);
  EXPECT_EQ(refused.error().text(),
            "QEMU monitor '" + peer.path() + "': blockdev-add: bad \\x1b[31m node");
  const auto unknown = client->execute("no-such", Json::object(), soon());
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code(), ErrorCode::kUnsupported);
  EXPECT_EQ(peer.finish(), "");
}

TEST(QmpClient, RefusesWhatIsNotQmp) {
  ScriptedPeer peer("HTTP/1.1 200 OK\n", {});
  const auto client = Client::connect(peer.path(), soon(), {});
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().code(), ErrorCode::kProtocol);
}

TEST(QmpClient, SaysThatAnotherClientMayBeConnectedWhenNoGreetingComes) {
  ScriptedPeer peer("", {});
  const auto client = Client::connect(peer.path(), Deadline::in(Millis(50)), {});
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().code(), ErrorCode::kTimedOut);
  EXPECT_NE(client.error().hint().find("is another one connected?"), std::string::npos);
}

TEST(QmpClient, StopsWaitingWhenAskedTo) {
  ScriptedPeer peer(kQmpGreeting, after_greeting({sends("query-block", "")}));
  auto client = Client::connect(peer.path(), soon(), {});
  ASSERT_TRUE(client);
  std::stop_source source;
  source.request_stop();
  const auto answer = client->execute("query-block", Json::object(), soon(), source.get_token());
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code(), ErrorCode::kCancelled);
}

TEST(QmpClient, SurvivesAnErrorWithoutAClass) {
  ScriptedPeer peer(kQmpGreeting,
                    after_greeting({{"stop", [](const Json& request) {
                                       return base::to_line(Json{{"error", {{"class", 7}}},
                                                                 {"id", request.at("id")}}) +
                                              "\n";
                                     }}}));
  auto client = Client::connect(peer.path(), soon(), {});
  ASSERT_TRUE(client);
  const auto answer = client->execute("stop", Json::object(), soon());
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code(), ErrorCode::kRefused);
}

Json job(const std::string& status) {
  return Json::array({{{"id", "j"}, {"type", "commit"}, {"status", status}}});
}

TEST(QmpJobs, WaitsForReadyByEvents) {
  const std::string event = "{\"event\": \"JOB_STATUS_CHANGE\", \"data\": {\"id\": \"j\"}}\n";
  ScriptedPeer peer(kQmpGreeting,
                    after_greeting({{"query-jobs",
                                     [&](const Json& request) {
                                       return returns("", job("running")).answer(request) + event;
                                     }},
                                    returns("query-jobs", job("ready"))}));
  auto client = Client::connect(peer.path(), soon(), {});
  ASSERT_TRUE(client);
  const auto ready = wait_for_job(*client, "j", false, soon(), {});
  ASSERT_TRUE(ready) << ready.error().text();
  EXPECT_EQ(ready->status, "ready");
  EXPECT_EQ(peer.finish(), "");
}

TEST(QmpJobs, ShowsAnUnknownStateInPrintableWords) {
  ScriptedPeer peer(kQmpGreeting, after_greeting({returns("query-jobs", job("\x1b[2J"))}));
  auto client = Client::connect(peer.path(), soon(), {});
  ASSERT_TRUE(client);
  const auto waited = wait_for_job(*client, "j", true, Deadline::in(Millis(0)), {});
  ASSERT_FALSE(waited);
  EXPECT_EQ(waited.error().text(), "the job 'j' is still '\\x1b[2J'");
}

TEST(QmpJobs, ReportsAJobThatIsGone) {
  ScriptedPeer peer(kQmpGreeting, after_greeting({returns("query-jobs", Json::array())}));
  auto client = Client::connect(peer.path(), soon(), {});
  ASSERT_TRUE(client);
  const auto gone = wait_for_job(*client, "j", true, soon(), {});
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().text(), "the job 'j' is gone");
}

TEST(QmpJobs, ReadsTheErrorOfAConcludedJob) {
  Json jobs = job("concluded");
  jobs[0]["error"] = "No space left on device";
  ScriptedPeer peer(kQmpGreeting, after_greeting({returns("query-jobs", jobs)}));
  auto client = Client::connect(peer.path(), soon(), {});
  ASSERT_TRUE(client);
  const auto concluded = wait_for_job(*client, "j", true, soon(), {});
  ASSERT_TRUE(concluded);
  EXPECT_EQ(concluded->error, "No space left on device");
}

}  // namespace
}  // namespace holdfast::host::qmp
