// SPDX-License-Identifier: MIT
#include "coordinator_fixture.h"

namespace holdfast::core {
namespace {

using base::ErrorCode;
using support::FakeCall;
using support::FakeEnding;
using Names = std::vector<std::string>;

// The guest agent was seen to have thawed; its hook comes later, or never.
class CoordinatorThawSeen : public CoordinatorTest {};

TEST_F(CoordinatorThawSeen, ReleasesBeforeTheHookAsks) {
  add("a");
  EXPECT_FALSE(thaw_watch_.watching());
  ASSERT_EQ(said(freeze()), "ok");
  EXPECT_TRUE(thaw_watch_.watching());
  coordinator().thaw_seen();
  EXPECT_EQ(locked(), Names{});
  EXPECT_EQ(coordinator().state(), State::kIdle);
  EXPECT_FALSE(thaw_watch_.watching());
  EXPECT_FALSE(dead_man_.armed());
  EXPECT_FALSE(marker_exists());
  const base::Json record = last_record();
  EXPECT_EQ(record["verdict"]["code"], "ok");
  EXPECT_EQ(record["thaw_seen"]["monotonic_ns"], record["end"]["monotonic_ns"]);
  EXPECT_EQ(record["resources"][0]["position_at_thaw"]["lsn"], "100");
  EXPECT_EQ(calls_.count("fake:a check"), 1U);
  EXPECT_EQ(said(thaw()), "ok");
  EXPECT_EQ(calls_.count("fake:a check"), 1U);
  EXPECT_EQ(last_record(), record);
  EXPECT_EQ(disk_record(), record);
}

TEST_F(CoordinatorThawSeen, KeepsABadVerdictForTheHook) {
  add("a");
  add("b");
  ASSERT_EQ(said(freeze()), "ok");
  servers_[1]->move_position();
  coordinator().thaw_seen();
  EXPECT_EQ(locked(), Names{});
  EXPECT_EQ(last_record()["verdict"]["status"], 30);
  EXPECT_TRUE(marker_exists());
  EXPECT_EQ(said(thaw()), "hold-lost: 'fake:b' moved from lsn 100 to lsn 101");
  EXPECT_FALSE(marker_exists());
  EXPECT_EQ(last_record()["verdict"]["status"], 30);
  EXPECT_EQ(said(thaw()), "ok");
}

TEST_F(CoordinatorThawSeen, KeepsAFailedReleaseForTheHook) {
  add("a").script(FakeCall::kRelease, FakeEnding::kFail);
  ASSERT_EQ(said(freeze()), "ok");
  coordinator().thaw_seen();
  EXPECT_EQ(thaw().error().code(), ErrorCode::kReleaseFailed);
}

TEST_F(CoordinatorThawSeen, IsABadVerdictForTheHookOfTheNextDaemonToo) {
  add("a");
  ASSERT_EQ(said(freeze()), "ok");
  servers_[0]->move_position();
  coordinator().thaw_seen();
  crash();
  EXPECT_EQ(thaw().error().code(), ErrorCode::kDaemonRestarted);
}

TEST_F(CoordinatorThawSeen, IsAGoodOneForTheHookOfTheNextDaemonToo) {
  add("a");
  ASSERT_EQ(said(freeze()), "ok");
  coordinator().thaw_seen();
  const base::Json record = last_record();
  crash();
  EXPECT_EQ(said(thaw()), "ok");
  EXPECT_EQ(last_record(), record);
}

TEST_F(CoordinatorThawSeen, DoesNothingOutsideAWindow) {
  add("a");
  coordinator().thaw_seen();
  EXPECT_EQ(calls_.count("fake:a check"), 0U);
  ASSERT_EQ(said(freeze()), "ok");
  EXPECT_EQ(said(thaw()), "ok");
  coordinator().thaw_seen();
  EXPECT_EQ(calls_.count("fake:a check"), 1U);
  EXPECT_FALSE(last_record().contains("thaw_seen"));
}

TEST_F(CoordinatorThawSeen, IsNotWatchedForInADrill) {
  add("a").script(FakeCall::kHold, FakeEnding::kFail);
  EXPECT_FALSE(coordinator().drill({}).outcome);
  EXPECT_FALSE(thaw_watch_.watching());
}

TEST_F(CoordinatorThawSeen, IsWatchedForThroughASecondFreeze) {
  add("a");
  ASSERT_EQ(said(freeze()), "ok");
  ASSERT_EQ(said(freeze()), "ok");
  EXPECT_TRUE(thaw_watch_.watching());
  coordinator().thaw_seen();
  EXPECT_EQ(said(thaw()), "ok");
}

}  // namespace
}  // namespace holdfast::core
