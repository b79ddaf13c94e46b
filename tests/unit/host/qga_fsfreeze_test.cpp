// SPDX-License-Identifier: MIT
#include "qga/fsfreeze.h"

#include <gtest/gtest.h>

#include "support/scripted_peer.h"

namespace holdfast::host::qga {
namespace {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Json;
using base::Millis;
using namespace support;

Deadline soon() {
  return Deadline::in(Millis(5000));
}

TEST(HookStatus, IsReadFromTheWordsOfTheAgent) {
  const auto of = [](const std::string& text) {
    return hook_status(Error(ErrorCode::kGuest, text));
  };
  EXPECT_EQ(of("fsfreeze hook has failed with status 30"), 30);
  EXPECT_EQ(of("fsfreeze hook has failed with status 0"), 0);
  EXPECT_EQ(of("fsfreeze hook has failed with status 99999999999999999999"), std::nullopt);
  EXPECT_EQ(of("fsfreeze hook has failed with status -1"), std::nullopt);
  EXPECT_EQ(of("something else"), std::nullopt);
  EXPECT_EQ(hook_status(Error(ErrorCode::kGuest, "x")
                            .caused_by(Error(ErrorCode::kGuest,
                                             "fsfreeze hook has failed with status 33"))),
            33);
}

TEST(HookStatus, HasAMeaningForEachStatusOfTheShimAndForNoOther) {
  for (const int status : {20, 21, 22, 23, 30, 31, 32, 33, 64})
    EXPECT_FALSE(hook_status_meaning(status).empty()) << status;
  for (const int status : {0, 1, 2, 24, 34, 127, 255})
    EXPECT_TRUE(hook_status_meaning(status).empty()) << status;
}

TEST(Freeze, RefusesAnAnswerThatIsNoCount) {
  for (const Json& answer : {Json(-1), Json("3"), Json::object(), Json(1e300), Json(1ULL << 63U)}) {
    ScriptedPeer peer("", {syncs(), returns("guest-fsfreeze-freeze", answer)});
    auto agent = Agent::connect(peer.path(), soon());
    ASSERT_TRUE(agent);
    const auto frozen = freeze(*agent, soon(), {});
    ASSERT_FALSE(frozen) << answer;
    EXPECT_EQ(frozen.error().code(), ErrorCode::kProtocol);
  }
}

TEST(FreezeState, IsOneOfTwoWords) {
  ScriptedPeer peer("", {syncs(), returns("guest-fsfreeze-status", "thawed"),
                         returns("guest-fsfreeze-status", "frozen"),
                         returns("guest-fsfreeze-status", "melting")});
  auto agent = Agent::connect(peer.path(), soon());
  ASSERT_TRUE(agent);
  EXPECT_EQ(*freeze_state(*agent, soon()), FreezeState::kThawed);
  EXPECT_EQ(*freeze_state(*agent, soon()), FreezeState::kFrozen);
  const auto odd = freeze_state(*agent, soon());
  ASSERT_FALSE(odd);
  EXPECT_EQ(odd.error().text(), "guest-fsfreeze-status: '\"melting\"' is no state");
}

TEST(ThawForSure, ThawsAgainWhenTheGuestStillSaysFrozen) {
  ScriptedPeer peer(
      "", {syncs(), returns("guest-fsfreeze-thaw", 0), returns("guest-fsfreeze-status", "frozen"),
           syncs(), returns("guest-fsfreeze-thaw", 3), returns("guest-fsfreeze-status", "thawed")});
  std::optional<Agent> agent;
  const auto thawed = thaw_for_sure(agent, peer.path(), soon());
  EXPECT_TRUE(thawed);
  EXPECT_EQ(peer.finish(), "");
}

TEST(ThawForSure, DoesNotMindAHookThatComplains) {
  ScriptedPeer peer(
      "", {syncs(),
           fails("guest-fsfreeze-thaw", "GenericError", "fsfreeze hook has failed with status 30"),
           returns("guest-fsfreeze-status", "thawed")});
  std::optional<Agent> agent;
  EXPECT_TRUE(thaw_for_sure(agent, peer.path(), soon()));
  EXPECT_EQ(peer.finish(), "");
}

TEST(ThawForSure, SaysWhatToDoWhenItCannot) {
  std::optional<Agent> agent;
  const auto thawed = thaw_for_sure(agent, "/nonexistent/socket", Deadline::in(Millis(150)));
  ASSERT_FALSE(thawed);
  EXPECT_EQ(thawed.error().code(), ErrorCode::kGuest);
  EXPECT_NE(thawed.error().one_line().find("fsfreeze -u"), std::string::npos);
}

}  // namespace
}  // namespace holdfast::host::qga
