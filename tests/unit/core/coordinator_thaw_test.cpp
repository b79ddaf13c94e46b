// SPDX-License-Identifier: MIT
#include "coordinator_fixture.h"

namespace holdfast::core {
namespace {

using base::ErrorCode;
using support::FakeCall;
using support::FakeEnding;
using Names = std::vector<std::string>;
using namespace std::chrono_literals;

class CoordinatorThaw : public CoordinatorTest {};

TEST_F(CoordinatorThaw, ReleasesEachResourceAfterItsOwnCheck) {
  add("a");
  add("b");
  ASSERT_EQ(said(freeze()), "ok");
  calls_.clear();
  EXPECT_EQ(said(thaw()), "ok");
  EXPECT_EQ(locked(), Names{});
  EXPECT_LT(calls_.position("fake:a check"), calls_.position("fake:a release"));
  EXPECT_LT(calls_.position("fake:b check"), calls_.position("fake:b release"));
  EXPECT_EQ(calls_.count("fake:a release"), 1U);
  EXPECT_EQ(calls_.count("fake:b release"), 1U);
  EXPECT_FALSE(dead_man_.armed());
  EXPECT_FALSE(filesystems_.is_armed());
  EXPECT_EQ(calls_.count("fs thaw"), 0U);
}

TEST_F(CoordinatorThaw, ReleasesWhatStallsWritersBeforeItLooksAtTheRest) {
  add("quiet").stall_nobody();
  add("stalling");
  ASSERT_EQ(said(freeze()), "ok");
  EXPECT_EQ(said(thaw()), "ok");
  EXPECT_EQ(locked(), Names{});
  EXPECT_LT(calls_.position("fake:stalling release"), calls_.position("fake:quiet check"));
}

TEST_F(CoordinatorThaw, LetsTheRestGoAlthoughWhatStallsWritersHangs) {
  add("quiet").stall_nobody();
  add("stalling").script(support::FakeCall::kCheck, support::FakeEnding::kHang);
  ASSERT_EQ(said(freeze()), "ok");
  EXPECT_EQ(thaw().error().code(), ErrorCode::kHoldLost);
  EXPECT_EQ(locked(), Names{});
  EXPECT_EQ(last_record()["resources"][0]["verdict"]["code"], "ok");
  EXPECT_EQ(last_record()["resources"][1]["verdict"]["code"], "hold-lost");
}

TEST_F(CoordinatorThaw, VerifiesEverythingFirstWhereAnOrderIsToBeKept) {
  add("a", true, 1);
  add("b", true, 2);
  ASSERT_EQ(said(freeze()), "ok");
  calls_.clear();
  EXPECT_EQ(said(thaw()), "ok");
  EXPECT_EQ(locked(), Names{});
  for (const char* check : {"fake:a check", "fake:b check"}) {
    EXPECT_LT(calls_.position(check), calls_.position("fake:a release"));
    EXPECT_LT(calls_.position(check), calls_.position("fake:b release"));
  }
}

TEST_F(CoordinatorThaw, RecordsHowEachResourceWasHeldAndWhatItsPluginWarnsOf) {
  add("a");
  ASSERT_EQ(said(freeze()), "ok");
  ASSERT_TRUE(coordinator().thaw());
  const base::Json resource = last_record()["resources"][0];
  EXPECT_EQ(resource["details"], (base::Json{{"lock", "fake"}}));
  EXPECT_EQ(resource["warnings"], base::Json::array({"nothing is behind this lock"}));
}

TEST_F(CoordinatorThaw, CompletesTheRecordBeforeTheAnswerAndTheDisksCopyAfterIt) {
  add("a");
  ASSERT_EQ(said(freeze()), "ok");
  ASSERT_TRUE(coordinator().thaw());
  base::Json record = last_record();
  EXPECT_EQ(record["state"], "done");
  EXPECT_EQ(record["verdict"]["code"], "ok");
  EXPECT_EQ(record["resources"][0]["position_at_thaw"]["lsn"], "100");
  EXPECT_TRUE(record["resources"][0].contains("released_at_ns"));
  EXPECT_TRUE(record.contains("end"));
  EXPECT_FALSE(marker_exists());
  EXPECT_EQ(disk_record()["state"], "held");
  coordinator().settle();
  EXPECT_EQ(disk_record(), record);
}

TEST_F(CoordinatorThaw, RecordsWhatOnlyTheReleaseBroughtToLight) {
  const api::ReleaseReport report{{{"stop", "107"}}, {{"label", "a\nb\n"}}};
  // Released together with the check, or, where an order is to be kept, afterwards.
  for (const bool ordered : {false, true}) {
    SCOPED_TRACE(ordered);
    if (ordered) {
      crash();
      add("b", true, 1);
    } else {
      add("a").report_at_release(report);
    }
    ASSERT_EQ(said(freeze()), "ok");
    EXPECT_EQ(said(thaw()), "ok");
    const base::Json resource = last_record()["resources"][0];
    EXPECT_EQ(base::to_line(resource["position_at_thaw"]), R"({"lsn":"100","stop":"107"})");
    EXPECT_EQ(base::to_line(resource["files"]), R"({"label":["a","b"]})");
  }
}

TEST_F(CoordinatorThaw, RecordsItAlsoWhenTheReleaseFailed) {
  support::FakeServer& server = add("a");
  server.report_at_release({{{"stop", "107"}}, {}});
  ASSERT_EQ(said(freeze()), "ok");
  server.script(support::FakeCall::kRelease, support::FakeEnding::kFail);
  EXPECT_FALSE(thaw());
  EXPECT_EQ(last_record()["verdict"]["code"], "release-failed");
  EXPECT_EQ(last_record()["resources"][0]["position_at_thaw"]["stop"], "107");
}

TEST_F(CoordinatorThaw, ReleasesInReverseOrder) {
  add("two", true, 2);
  add("one", true, 1);
  ASSERT_EQ(said(freeze()), "ok");
  EXPECT_EQ(said(thaw()), "ok");
  EXPECT_LT(calls_.position("fake:two release"), calls_.position("fake:one release"));
}

TEST_F(CoordinatorThaw, WithNothingHeldDoesNothing) {
  add("a");
  coordinator();
  EXPECT_EQ(said(thaw()), "ok");
  EXPECT_EQ(calls_.calls(), Names{});
  EXPECT_EQ(last_record(), nullptr);
}

TEST_F(CoordinatorThaw, TwiceIsOnceAndNothing) {
  add("a");
  ASSERT_EQ(said(freeze()), "ok");
  EXPECT_EQ(said(thaw()), "ok");
  calls_.clear();
  EXPECT_EQ(said(thaw()), "ok");
  EXPECT_EQ(calls_.calls(), Names{});
}

TEST_F(CoordinatorThaw, ReportsASessionThatClosedWithItsTime) {
  add("a");
  ASSERT_EQ(said(freeze()), "ok");
  clock_.advance(1200ms);
  servers_[0]->close_session();
  await([&] { return state_of("fake:a") == "lost"; });
  EXPECT_EQ(said(thaw()), "hold-lost: the session of 'fake:a' closed 1200 ms after it was held");
  EXPECT_EQ(calls_.count("fake:a check"), 0U);
  EXPECT_EQ(calls_.count("fake:a release"), 1U);
  const base::Json record = last_record();
  EXPECT_EQ(record["verdict"]["status"], 30);
  EXPECT_TRUE(record["resources"][0].contains("lost_at_ns"));
  EXPECT_EQ(record["resources"][0]["verdict"]["code"], "hold-lost");
}

TEST_F(CoordinatorThaw, NeverTakesALostHoldAgain) {
  add("a");
  ASSERT_EQ(said(freeze()), "ok");
  servers_[0]->close_session();
  await([&] { return state_of("fake:a") == "lost"; });
  clock_.advance(40s);
  calls_.clear();
  EXPECT_EQ(thaw().error().code(), ErrorCode::kHoldLost);
  EXPECT_EQ(calls_.count("fake:a hold"), 0U);
}

TEST_F(CoordinatorThaw, BelievesTheSocketMoreThanAPluginThatLies) {
  add("a");
  ASSERT_EQ(said(freeze()), "ok");
  servers_[0]->script(FakeCall::kCheck, FakeEnding::kLie);
  servers_[0]->close_session();
  EXPECT_EQ(thaw().error().code(), ErrorCode::kHoldLost);
}

TEST_F(CoordinatorThaw, DoesNotMistakeANoticeForALoss) {
  add("a");
  ASSERT_EQ(said(freeze()), "ok");
  servers_[0]->speak();
  EXPECT_EQ(said(thaw()), "ok");
}

TEST_F(CoordinatorThaw, ReportsAPositionThatMovedUnderTheLock) {
  add("a");
  add("b");
  ASSERT_EQ(said(freeze()), "ok");
  servers_[1]->move_position();
  EXPECT_EQ(said(thaw()), "hold-lost: 'fake:b' moved from lsn 100 to lsn 101");
  EXPECT_EQ(locked(), Names{});
  EXPECT_EQ(last_record()["resources"][0]["verdict"]["code"], "ok");
}

TEST_F(CoordinatorThaw, ReportsTheLossOfAnOptionalHoldToo) {
  add("a");
  add("b", false);
  ASSERT_EQ(said(freeze()), "ok");
  servers_[1]->close_session();
  EXPECT_EQ(thaw().error().code(), ErrorCode::kHoldLost);
}

TEST_F(CoordinatorThaw, ReportsAllLossesAtOnce) {
  add("a");
  add("b");
  ASSERT_EQ(said(freeze()), "ok");
  servers_[0]->move_position();
  servers_[1]->move_position();
  EXPECT_EQ(said(thaw()),
            "hold-lost: 'fake:a' moved from lsn 100 to lsn 101 [also: 'fake:b' moved "
            "from lsn 100 to lsn 101]");
}

TEST_F(CoordinatorThaw, ReconnectsAfterwardsAndHoldsAgainNextTime) {
  add("a");
  ASSERT_EQ(said(freeze()), "ok");
  servers_[0]->close_session();
  EXPECT_FALSE(thaw());
  await([&] { return state_of("fake:a") == "ready"; });
  EXPECT_EQ(said(freeze()), "ok");
  EXPECT_EQ(said(thaw()), "ok");
  EXPECT_EQ(last_record()["sequence"], 2);
}

// -- the dead-man --------------------------------------------------------------------------------

TEST_F(CoordinatorThaw, AfterTheDeadManSaysThatTheWindowExpired) {
  add("a");
  ASSERT_EQ(said(freeze()), "ok");
  filesystems_.freeze();
  clock_.advance(kMaxHold);
  coordinator().expire();
  EXPECT_EQ(locked(), Names{});
  EXPECT_FALSE(filesystems_.is_frozen());
  EXPECT_LT(calls_.position("fs thaw"), calls_.position("fake:a release"));
  EXPECT_EQ(coordinator().state(), State::kExpired);
  EXPECT_EQ(last_record()["verdict"]["code"], "window-expired");
  EXPECT_EQ(said(thaw()),
            "window-expired: the window had expired: no thaw came within max-hold (1min)");
  EXPECT_FALSE(marker_exists());
  EXPECT_EQ(said(thaw()), "ok");
}

TEST_F(CoordinatorThaw, ReleasesAtTheDeadManAlsoWhenTheFilesystemsCannotBeThawed) {
  add("a");
  ASSERT_EQ(said(freeze()), "ok");
  filesystems_.fail("thaw");
  clock_.advance(kMaxHold);
  coordinator().expire();
  EXPECT_EQ(locked(), Names{});
}

TEST_F(CoordinatorThaw, IgnoresADeadManWhoseTimeHasNotCome) {
  add("a");
  coordinator().expire();
  ASSERT_EQ(said(freeze()), "ok");
  clock_.advance(kMaxHold - 1ms);
  coordinator().expire();
  EXPECT_EQ(locked(), (Names{"fake:a"}));
  EXPECT_EQ(said(thaw()), "ok");
}

TEST_F(CoordinatorThaw, CanFreezeAgainAfterAWindowExpired) {
  add("a");
  ASSERT_EQ(said(freeze()), "ok");
  clock_.advance(kMaxHold);
  coordinator().expire();
  ASSERT_EQ(said(freeze()), "ok");
  EXPECT_EQ(said(thaw()), "ok");
}

// -- a resource that does not come back ----------------------------------------------------------

TEST_F(CoordinatorThaw, GivesEveryoneTimeForTheReleaseWhateverANeighboursCallDoes) {
  support::FakeServer& good = add("good");
  support::FakeServer& stuck = add("stuck");
  stuck.script(FakeCall::kHold, FakeEnding::kStuck);
  EXPECT_EQ(freeze().error().code(), ErrorCode::kFreezeTimeout);
  EXPECT_TRUE(coordinator().must_end());
  EXPECT_FALSE(good.is_locked());
  ASSERT_TRUE(good.time_given(FakeCall::kRelease));
  EXPECT_GT(good.time_given(FakeCall::kRelease)->count(), 0);
}

// -- every call, every ending, any number of resources -------------------------------------------

struct Case {
  FakeCall call;
  FakeEnding ending;
  ErrorCode expected;
  const char* text;  // %s is the resource
  bool ends_daemon = false;
};

const std::vector<Case>& thaw_cases() {
  static const std::vector<Case> kCases{
      {FakeCall::kCheck, FakeEnding::kFail, ErrorCode::kHoldLost,
       "unable to check '%s': access denied"},
      {FakeCall::kCheck, FakeEnding::kThrow, ErrorCode::kHoldLost,
       "plugin of '%s' threw an exception in check(): a bug in check"},
      {FakeCall::kCheck, FakeEnding::kThrowOther, ErrorCode::kHoldLost,
       "plugin of '%s' threw an unknown exception in check()"},
      {FakeCall::kCheck, FakeEnding::kHang, ErrorCode::kHoldLost,
       "unable to prove the hold of '%s': timed out"},
      {FakeCall::kCheck, FakeEnding::kHangHard, ErrorCode::kHoldLost,
       "unable to prove the hold of '%s': interrupted"},
      {FakeCall::kCheck, FakeEnding::kStuck, ErrorCode::kHoldLost,
       "unable to prove the hold of '%s': no answer in time [also: unable to release '%s': no "
       "answer in time]",
       true},
      {FakeCall::kCheck, FakeEnding::kLose, ErrorCode::kHoldLost, "the session of '%s' has gone"},
      {FakeCall::kRelease, FakeEnding::kFail, ErrorCode::kReleaseFailed,
       "unable to release '%s': access denied"},
      {FakeCall::kRelease, FakeEnding::kThrow, ErrorCode::kReleaseFailed,
       "plugin of '%s' threw an exception in release(): a bug in release"},
      {FakeCall::kRelease, FakeEnding::kThrowOther, ErrorCode::kReleaseFailed,
       "plugin of '%s' threw an unknown exception in release()"},
      {FakeCall::kRelease, FakeEnding::kHang, ErrorCode::kReleaseFailed,
       "unable to release '%s': timed out"},
      {FakeCall::kRelease, FakeEnding::kHangHard, ErrorCode::kReleaseFailed,
       "unable to release '%s': interrupted"},
      {FakeCall::kRelease, FakeEnding::kStuck, ErrorCode::kReleaseFailed,
       "unable to release '%s': no answer in time", true},
  };
  return kCases;
}

std::string filled(std::string text, const std::string& name) {
  for (std::size_t at = 0; (at = text.find("%s", at)) != std::string::npos;)
    text.replace(at, 2, name);
  return text;
}

class CoordinatorThawWalk
    : public CoordinatorTest,
      public ::testing::WithParamInterface<std::tuple<std::size_t, int, int>> {};

TEST_P(CoordinatorThawWalk, ReleasesEverythingAndNamesTheResource) {
  const auto& [index, count, bad] = GetParam();
  if (bad >= count) return;
  const Case& tried = thaw_cases()[index];
  for (int i = 0; i < count; ++i) {
    support::FakeServer& server = add(std::string(1, static_cast<char>('a' + i)), true, i);
    if (i == bad) server.script(tried.call, tried.ending);
  }
  ASSERT_EQ(said(freeze()), "ok");
  const auto begin = std::chrono::steady_clock::now();
  const auto thawed = thaw();
  const auto took = std::chrono::steady_clock::now() - begin;
  ASSERT_FALSE(thawed);
  EXPECT_EQ(said(thawed), std::string(base::name_of(tried.expected)) + ": " +
                              filled(tried.text, servers_[static_cast<std::size_t>(bad)]->name()));
  EXPECT_LT(took, kLongest);
  EXPECT_EQ(coordinator().must_end(), tried.ends_daemon);
  if (!tried.ends_daemon) {
    EXPECT_EQ(locked(), Names{});
  }
  // Each of the others was asked, whatever one of them said.
  for (int i = 0; i < count; ++i) {
    const std::string name = servers_[static_cast<std::size_t>(i)]->name();
    if (tried.ends_daemon && i == bad) continue;
    EXPECT_EQ(calls_.count(name + " release"), 1U) << name;
    if (i == bad) continue;
    EXPECT_EQ(last_record()["resources"][static_cast<std::size_t>(i)]["verdict"]["code"], "ok");
  }
  EXPECT_EQ(coordinator().state(), State::kIdle);
  EXPECT_FALSE(marker_exists());
  EXPECT_EQ(last_record()["verdict"]["code"], base::name_of(tried.expected));
  EXPECT_EQ(said(thaw()), "ok");
}

INSTANTIATE_TEST_SUITE_P(EveryCallEveryEnding, CoordinatorThawWalk,
                         ::testing::Combine(::testing::Range(std::size_t{0}, thaw_cases().size()),
                                            ::testing::Values(1, 3), ::testing::Range(0, 3)));

}  // namespace
}  // namespace holdfast::core
