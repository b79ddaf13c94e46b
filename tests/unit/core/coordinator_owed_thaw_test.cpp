// SPDX-License-Identifier: MIT
#include <filesystem>

#include "base/file.h"
#include "coordinator_fixture.h"

namespace holdfast::core {
namespace {

using base::ErrorCode;
using support::FakeCall;
using support::FakeEnding;
using Names = std::vector<std::string>;
using namespace std::chrono_literals;

// The thaw that a window still owes when something came between: a second freeze, a crash, a stop.
class CoordinatorOwedThaw : public CoordinatorTest {};

// -- freeze while held ---------------------------------------------------------------------------

TEST_F(CoordinatorOwedThaw, AfterASecondFreezeBelongsToTheNewWindowOnTheSameLocks) {
  add("a");
  ASSERT_EQ(said(freeze()), "ok");
  const std::string first = last_record()["window"];
  clock_.advance(10s);
  ASSERT_EQ(said(freeze()), "ok");
  EXPECT_EQ(calls_.count("fake:a hold"), 1U);
  EXPECT_EQ(calls_.count("fake:a check"), 1U);
  EXPECT_EQ(calls_.count("fs extend"), 1U);
  EXPECT_EQ(dead_man_.armed(), clock_.now() + kMaxHold);
  const base::Json second = last_record();
  EXPECT_NE(second["window"], first);
  EXPECT_EQ(second["sequence"], 2);
  EXPECT_EQ(second["resources"][0]["position"]["lsn"], "100");
  EXPECT_EQ(said(thaw()), "ok");
  const auto old = base::read_file(directory_.file("state/records/" + first + ".json"), 100'000);
  ASSERT_TRUE(old);
  EXPECT_EQ(base::parse_json(*old)->at("verdict").at("code"), "cancelled");
  EXPECT_EQ(disk_record()["window"], second["window"]);
}

TEST_F(CoordinatorOwedThaw, ExtendsWhatIsBoundedOnTheServerWhenASecondFreezeTakesItOver) {
  add("a");
  ASSERT_EQ(said(freeze()), "ok");
  EXPECT_EQ(calls_.count("fake:a extend"), 0U);
  ASSERT_EQ(said(freeze()), "ok");
  EXPECT_EQ(calls_.count("fake:a extend for " + std::to_string(kMaxHold.count())), 1U);
  EXPECT_EQ(calls_.count("fake:a extend"), 1U);
  EXPECT_EQ(said(thaw()), "ok");
}

TEST_F(CoordinatorOwedThaw, IsStillOwedAfterASecondFreezeCouldNotExtendAHold) {
  add("a");
  add("b").script(FakeCall::kExtend, FakeEnding::kFail);
  ASSERT_EQ(said(freeze()), "ok");
  EXPECT_EQ(said(freeze()),
            "hold-failed: unable to go on with the locks of the last freeze: "
            "unable to extend 'fake:b': access denied");
  EXPECT_EQ(locked(), Names{});
  EXPECT_EQ(thaw().error().code(), ErrorCode::kHoldLost);
}

TEST_F(CoordinatorOwedThaw, IsStillOwedAfterASecondFreezeFoundTheLocksLost) {
  add("a");
  add("b");
  ASSERT_EQ(said(freeze()), "ok");
  servers_[0]->move_position();
  EXPECT_EQ(said(freeze()),
            "hold-failed: unable to go on with the locks of the last freeze: "
            "'fake:a' moved from lsn 100 to lsn 101");
  EXPECT_EQ(locked(), Names{});
  EXPECT_TRUE(marker_exists());
  // The first freeze was promised a window until its thaw.
  EXPECT_EQ(said(thaw()),
            "hold-lost: the holds were let go: a second freeze could not go on with them");
  EXPECT_EQ(said(thaw()), "ok");
}

TEST_F(CoordinatorOwedThaw, IsStillOwedAfterAFreezeThatFailed) {
  add("a");
  ASSERT_EQ(said(freeze()), "ok");
  clock_.advance(kMaxHold);
  coordinator().expire();
  servers_[0]->script(FakeCall::kHold, FakeEnding::kFail);
  EXPECT_EQ(freeze().error().code(), ErrorCode::kHoldFailed);
  EXPECT_TRUE(marker_exists());
  EXPECT_EQ(thaw().error().code(), ErrorCode::kWindowExpired);
  EXPECT_EQ(said(thaw()), "ok");
}

TEST_F(CoordinatorOwedThaw, AfterACrashIsStillOwedAfterAFreezeThatFailed) {
  add("a");
  ASSERT_EQ(said(freeze()), "ok");
  crash();
  coordinator();
  servers_[0]->script(FakeCall::kHold, FakeEnding::kFail);
  EXPECT_EQ(freeze().error().code(), ErrorCode::kHoldFailed);
  EXPECT_EQ(thaw().error().code(), ErrorCode::kDaemonRestarted);
  EXPECT_EQ(said(thaw()), "ok");
}

// -- daemons that end ----------------------------------------------------------------------------

TEST_F(CoordinatorOwedThaw, AfterACrashSaysThatTheHoldsWereLost) {
  add("a");
  ASSERT_EQ(said(freeze()), "ok");
  crash();
  EXPECT_EQ(coordinator().state(), State::kInterrupted);
  EXPECT_EQ(said(thaw()),
            "daemon-restarted: the holds were lost: holdfastd restarted during the window");
  EXPECT_EQ(last_record()["verdict"]["status"], 33);
  EXPECT_EQ(disk_record()["verdict"]["code"], "daemon-restarted");
  EXPECT_FALSE(filesystems_.is_armed());
  EXPECT_EQ(said(thaw()), "ok");
}

TEST_F(CoordinatorOwedThaw, AfterACrashIsOwedWhateverTheMarkerHolds) {
  add("a");
  for (const char* left : {"", "{", "[]", "{\"window\": 3}", "{\"boot\": null}"}) {
    coordinator();
    ASSERT_TRUE(
        base::write_file(directory_.file("run/window.json"), left, 0644, base::Durable::kNo));
    crash();
    EXPECT_EQ(coordinator().state(), State::kInterrupted) << left;
    EXPECT_EQ(thaw().error().code(), ErrorCode::kDaemonRestarted) << left;
    EXPECT_EQ(said(thaw()), "ok") << left;
  }
}

TEST_F(CoordinatorOwedThaw, AfterACrashIsNotOwedOnceANewFreezeHasSucceeded) {
  add("a");
  ASSERT_EQ(said(freeze()), "ok");
  crash();
  ASSERT_EQ(said(freeze()), "ok");
  EXPECT_EQ(last_record()["sequence"], 2);
  EXPECT_EQ(said(thaw()), "ok");
}

TEST_F(CoordinatorOwedThaw, AfterAStopOfTheDaemonIsForTheNextOneToRefuse) {
  add("a");
  ASSERT_EQ(said(freeze()), "ok");
  coordinator().stop();
  EXPECT_EQ(locked(), Names{});
  EXPECT_EQ(coordinator().state(), State::kInterrupted);
  EXPECT_TRUE(marker_exists());
  EXPECT_EQ(last_record()["verdict"]["code"], "daemon-restarted");
  crash();
  EXPECT_EQ(thaw().error().code(), ErrorCode::kDaemonRestarted);
}

TEST_F(CoordinatorOwedThaw, AfterAStopKeepsTheDeadManOfTheFilesystemsUntilItComes) {
  add("a");
  ASSERT_EQ(said(freeze()), "ok");
  coordinator().stop();
  EXPECT_TRUE(filesystems_.is_armed());
  crash();
  EXPECT_TRUE(filesystems_.is_armed());
  EXPECT_EQ(thaw().error().code(), ErrorCode::kDaemonRestarted);
  coordinator().settle();
  EXPECT_FALSE(filesystems_.is_armed());
}

TEST_F(CoordinatorOwedThaw, AfterAStopLeavesTheDisksAlone) {
  add("a");
  ASSERT_EQ(said(freeze()), "ok");
  coordinator().stop();
  EXPECT_EQ(calls_.count("fake:a abandon"), 1U);
  EXPECT_EQ(locked(), Names{});
  ASSERT_FALSE(thaw());
  ASSERT_EQ(said(freeze()), "ok");
  ASSERT_EQ(said(thaw()), "ok");
  EXPECT_EQ(calls_.count("fake:a abandon"), 1U) << "the disks of an ordinary thaw are thawed";
}

TEST_F(CoordinatorOwedThaw, AfterAStopIsWhatTheDiskHearsOfTheWindow) {
  add("a");
  ASSERT_EQ(said(freeze()), "ok");
  const std::string record =
      directory_.file("state/records/" + last_record()["window"].get<std::string>() + ".json");
  coordinator().stop();
  // Whatever is frozen is frozen still.
  EXPECT_FALSE(std::filesystem::exists(record));
  crash();
  EXPECT_EQ(thaw().error().code(), ErrorCode::kDaemonRestarted);
  EXPECT_TRUE(std::filesystem::exists(record));
  EXPECT_EQ(disk_record()["verdict"]["code"], "daemon-restarted");
}

TEST_F(CoordinatorOwedThaw, AfterAStopWithNothingHeldIsNotOwed) {
  add("a");
  ASSERT_EQ(said(freeze()), "ok");
  ASSERT_EQ(said(thaw()), "ok");
  coordinator().stop();
  crash();
  EXPECT_EQ(coordinator().state(), State::kIdle);
}

}  // namespace
}  // namespace holdfast::core
