// SPDX-License-Identifier: MIT
#include <filesystem>
#include <thread>

#include "coordinator_fixture.h"

namespace holdfast::core {
namespace {

using base::ErrorCode;
using support::FakeCall;
using support::FakeEnding;
using Names = std::vector<std::string>;
using namespace std::chrono_literals;

class CoordinatorFreeze : public CoordinatorTest {};

TEST_F(CoordinatorFreeze, HoldsEveryResourceAndRecordsItsPosition) {
  add("a");
  add("b");
  ASSERT_EQ(said(freeze()), "ok");
  EXPECT_EQ(locked(), (Names{"fake:a", "fake:b"}));
  EXPECT_EQ(coordinator().state(), State::kHeld);
  const base::Json record = last_record();
  EXPECT_EQ(record, disk_record());
  EXPECT_EQ(record["state"], "held");
  EXPECT_EQ(record["sequence"], 1);
  EXPECT_EQ(record["verdict"], nullptr);
  EXPECT_EQ(record["filesystems"], (base::Json{"/fake"}));
  EXPECT_TRUE(marker_exists());
  for (const std::size_t i : {0U, 1U}) {
    EXPECT_EQ(record["resources"][i]["position"]["lsn"], "100");
    EXPECT_EQ(record["resources"][i]["engine"], "Fake");
    EXPECT_TRUE(record["resources"][i].contains("held_at_ns"));
  }
  std::vector<std::string> phases;
  for (const auto& phase : record["phases"])
    phases.push_back(phase["name"]);
  // The record phase is still going on when the record is written.
  EXPECT_EQ(phases, (Names{"arm", "prepare", "sync", "hold", "record"}));
}

TEST_F(CoordinatorFreeze, ArmsBothDeadMenBeforeAnythingIsPreparedAndFlushesBeforeAnythingIsHeld) {
  add("a");
  ASSERT_EQ(said(freeze()), "ok");
  EXPECT_EQ(calls_.calls(),
            (Names{"dead-man arm", "fs arm", "fake:a prepare", "fs sync", "fake:a hold"}));
  EXPECT_EQ(dead_man_.armed(), clock_.now() + kMaxHold);
  EXPECT_EQ(filesystems_.max_hold(), kMaxHold);
}

TEST_F(CoordinatorFreeze, HoldsLowerOrdersFirst) {
  add("late", true, 10);
  add("early", true, -10);
  add("middle");
  ASSERT_EQ(said(freeze()), "ok");
  EXPECT_LT(calls_.position("fake:early hold"), calls_.position("fake:middle hold"));
  EXPECT_LT(calls_.position("fake:middle hold"), calls_.position("fake:late hold"));
}

TEST_F(CoordinatorFreeze, HoldsWhatStallsWritersLastWithinAnOrder) {
  add("stalling");
  add("quiet").stall_nobody();
  add("later", true, 10).stall_nobody();
  ASSERT_EQ(said(freeze()), "ok");
  EXPECT_LT(calls_.position("fake:quiet hold"), calls_.position("fake:stalling hold"));
  EXPECT_LT(calls_.position("fake:stalling hold"), calls_.position("fake:later hold"));
}

TEST_F(CoordinatorFreeze, StallsNobodyForAFreezeThatFails) {
  add("stalling");
  support::FakeServer& quiet = add("quiet");
  quiet.stall_nobody();
  quiet.script(FakeCall::kHold, FakeEnding::kFail);
  EXPECT_FALSE(freeze());
  EXPECT_EQ(calls_.count("fake:stalling hold"), 0U);
  EXPECT_EQ(locked(), Names{});
}

TEST_F(CoordinatorFreeze, PreparesInParallel) {
  // Both hang: one after the other, the first would leave the second no time.
  add("a", false).script(FakeCall::kPrepare, FakeEnding::kHang);
  add("b", false).script(FakeCall::kPrepare, FakeEnding::kHang);
  (void)freeze();
  for (const auto& server : servers_) {
    ASSERT_TRUE(server->time_given(FakeCall::kPrepare));
    EXPECT_GT(server->time_given(FakeCall::kPrepare)->count(), 0);
  }
}

TEST_F(CoordinatorFreeze, ConnectsAResourceThatWasNotReady) {
  support::FakeServer& server = add("a");
  server.script(FakeCall::kProbe, FakeEnding::kFail);
  coordinator();
  EXPECT_EQ(state_of("fake:a"), "not-ready");
  server.script(FakeCall::kProbe, FakeEnding::kSucceed);
  EXPECT_EQ(said(freeze()), "ok");
  EXPECT_EQ(locked(), (Names{"fake:a"}));
}

TEST_F(CoordinatorFreeze, RefusesWhenARequiredResourceIsNotThere) {
  add("a");
  add("b").script(FakeCall::kProbe, FakeEnding::kFail);
  EXPECT_EQ(said(freeze()), "hold-failed: unable to probe 'fake:b': access denied");
  EXPECT_EQ(locked(), Names{});
  EXPECT_EQ(calls_.count("fake:a hold"), 0U);
}

TEST_F(CoordinatorFreeze, ReleasesInReverseWhenALaterOrderFails) {
  add("one", true, 1);
  add("two", true, 2);
  add("three", true, 3).script(FakeCall::kHold, FakeEnding::kFail);
  EXPECT_EQ(said(freeze()), "hold-failed: unable to hold 'fake:three': access denied");
  EXPECT_EQ(locked(), Names{});
  EXPECT_LT(calls_.position("fake:three rollback"), calls_.position("fake:two release"));
  EXPECT_LT(calls_.position("fake:two release"), calls_.position("fake:one release"));
  EXPECT_EQ(coordinator().state(), State::kIdle);
}

TEST_F(CoordinatorFreeze, DoesNotBeginALaterOrderAfterAFailure) {
  add("one", true, 1).script(FakeCall::kHold, FakeEnding::kFail);
  add("two", true, 2);
  EXPECT_FALSE(freeze());
  EXPECT_EQ(calls_.count("fake:two hold"), 0U);
  EXPECT_EQ(calls_.count("fake:two rollback"), 1U);
}

TEST_F(CoordinatorFreeze, GivesTheOthersUpAtOnceWhenARequiredOneFails) {
  add("a").script(FakeCall::kHold, FakeEnding::kFail);
  add("b").script(FakeCall::kHold, FakeEnding::kHang);
  do_not_hurry();
  coordinator();
  const auto begin = std::chrono::steady_clock::now();
  // The one that was cancelled for the other's sake is not the news.
  EXPECT_EQ(said(freeze()), "hold-failed: unable to hold 'fake:a': access denied");
  // Nobody waited for the deadline, three quarters of the time-out.
  EXPECT_LT(std::chrono::steady_clock::now() - begin, kUnhurried / 2);
}

TEST_F(CoordinatorFreeze, GoesOnWithoutAnOptionalResourceAndTheRecordSaysSo) {
  add("a");
  add("b", false).script(FakeCall::kHold, FakeEnding::kFail);
  add("c", false).script(FakeCall::kPrepare, FakeEnding::kThrow);
  ASSERT_EQ(said(freeze()), "ok");
  EXPECT_EQ(locked(), (Names{"fake:a"}));
  const base::Json record = last_record();
  EXPECT_EQ(record["resources"][0]["verdict"]["code"], "ok");
  EXPECT_EQ(record["resources"][1]["verdict"]["code"], "hold-failed");
  EXPECT_EQ(record["resources"][1]["verdict"]["text"], "unable to hold 'fake:b': access denied");
  EXPECT_EQ(record["resources"][2]["verdict"]["text"],
            "plugin of 'fake:c' threw an exception in prepare(): a bug in prepare");
  EXPECT_EQ(calls_.count("fake:c hold"), 0U);
  EXPECT_EQ(said(thaw()), "ok");
  EXPECT_EQ(calls_.count("fake:b rollback"), 1U);
  EXPECT_EQ(calls_.count("fake:c rollback"), 1U);
  EXPECT_EQ(calls_.count("fake:b check"), 0U);
  EXPECT_EQ(last_record()["verdict"]["code"], "ok");
}

TEST_F(CoordinatorFreeze, FailsWhenTheDeadManOfTheFilesystemsCannotBeArmed) {
  add("a");
  filesystems_.fail("arm");
  EXPECT_EQ(said(freeze()),
            "hold-failed: unable to arm the dead-man of the filesystems: unable to "
            "arm '/fake': Input/output error");
  EXPECT_EQ(calls_.count("fake:a prepare"), 0U);
  EXPECT_FALSE(dead_man_.armed());
}

TEST_F(CoordinatorFreeze, FailsWhenTheFilesystemsCannotBeFlushed) {
  add("a");
  filesystems_.fail("sync");
  EXPECT_EQ(said(freeze()),
            "hold-failed: unable to flush the filesystems: unable to sync '/fake': "
            "Input/output error");
  EXPECT_EQ(calls_.count("fake:a hold"), 0U);
  EXPECT_EQ(calls_.count("fake:a rollback"), 1U);
  coordinator().settle();
  EXPECT_FALSE(filesystems_.is_armed());
}

TEST_F(CoordinatorFreeze, FailsWhenTheRecordCannotBeWritten) {
  add("a");
  coordinator();
  std::filesystem::remove_all(directory_.file("state"));
  const auto frozen = freeze();
  ASSERT_FALSE(frozen);
  EXPECT_EQ(frozen.error().code(), ErrorCode::kHoldFailed);
  EXPECT_TRUE(frozen.error().text().starts_with("unable to write the freeze record: unable to"));
  EXPECT_EQ(locked(), Names{});
  EXPECT_FALSE(marker_exists());
}

TEST_F(CoordinatorFreeze, RecordsARefusedFreezeWithItsVerdictAndCountsIt) {
  add("a").script(FakeCall::kHold, FakeEnding::kFail);
  EXPECT_FALSE(freeze());
  base::Json record = last_record();
  EXPECT_EQ(record["state"], "done");
  EXPECT_EQ(record["sequence"], 1);
  EXPECT_EQ(record["verdict"]["code"], "hold-failed");
  EXPECT_EQ(record["verdict"]["status"], 21);
  EXPECT_FALSE(record.contains("held"));
  EXPECT_FALSE(marker_exists());
  EXPECT_FALSE(dead_man_.armed());
  servers_[0]->script(FakeCall::kHold, FakeEnding::kSucceed);
  ASSERT_EQ(said(freeze()), "ok");
  EXPECT_EQ(last_record()["sequence"], 2);
}

TEST_F(CoordinatorFreeze, LeavesNothingToTheThawAfterARefusal) {
  add("a").script(FakeCall::kHold, FakeEnding::kFail);
  EXPECT_FALSE(freeze());
  EXPECT_EQ(said(thaw()), "ok");
}

TEST_F(CoordinatorFreeze, IsGivenUpWhenItsCallerGoesAway) {
  add("a", true, 1);
  add("b", true, 2).script(FakeCall::kHold, FakeEnding::kHang);
  do_not_hurry();
  coordinator();
  std::stop_source caller;
  std::jthread leaver([&] {
    while (calls_.count("fake:b hold") == 0)
      std::this_thread::yield();
    (void)caller.request_stop();
  });
  EXPECT_EQ(said(coordinator().freeze(caller.get_token())),
            "hold-failed: the freeze was given up, as asked");
  EXPECT_EQ(locked(), Names{});
}

TEST_F(CoordinatorFreeze, LetsGoWhenNobodyHeardThatItSucceeded) {
  add("a");
  ASSERT_EQ(said(freeze()), "ok");
  coordinator().abandon();
  EXPECT_EQ(locked(), Names{});
  EXPECT_EQ(said(thaw()),
            "hold-lost: the holds were let go: who asked for the freeze did not wait "
            "for the answer");
  EXPECT_EQ(said(thaw()), "ok");
}

TEST_F(CoordinatorFreeze, RefusesWhatWasLostWhileALaterOrderWasBeingHeld) {
  add("a", true, 1).script(FakeCall::kHold, FakeEnding::kLose);
  add("b", true, 2).script(FakeCall::kHold, FakeEnding::kHang);
  do_not_hurry();
  coordinator();
  servers_[1]->script(FakeCall::kHold, FakeEnding::kSucceed);
  // Either the loss is seen in time, or the thaw will see it; it never passes for a hold.
  const auto frozen = freeze();
  if (!frozen) {
    EXPECT_EQ(said(frozen), "hold-failed: unable to hold 'fake:a': its session closed");
    EXPECT_EQ(locked(), Names{});
  } else {
    EXPECT_EQ(thaw().error().code(), ErrorCode::kHoldLost);
  }
}

TEST_F(CoordinatorFreeze, WithNoResourceStillFlushesAndRecords) {
  ASSERT_EQ(said(freeze()), "ok");
  EXPECT_EQ(calls_.count("fs sync"), 1U);
  EXPECT_EQ(said(thaw()), "ok");
}

// -- every call, every ending, any number of resources -------------------------------------------

struct Case {
  FakeCall call;
  FakeEnding ending;
  ErrorCode expected;
  const char* text;  // %s is the resource
  bool ends_daemon = false;
};

const std::vector<Case>& freeze_cases() {
  static const std::vector<Case> kCases{
      {FakeCall::kPrepare, FakeEnding::kFail, ErrorCode::kHoldFailed,
       "unable to prepare '%s': access denied"},
      {FakeCall::kPrepare, FakeEnding::kMisconfigure, ErrorCode::kMisconfigured,
       "'%s' has no such database"},
      {FakeCall::kPrepare, FakeEnding::kThrow, ErrorCode::kHoldFailed,
       "plugin of '%s' threw an exception in prepare(): a bug in prepare"},
      {FakeCall::kPrepare, FakeEnding::kThrowOther, ErrorCode::kHoldFailed,
       "plugin of '%s' threw an unknown exception in prepare()"},
      {FakeCall::kPrepare, FakeEnding::kHang, ErrorCode::kFreezeTimeout,
       "unable to prepare '%s': timed out"},
      {FakeCall::kPrepare, FakeEnding::kHangHard, ErrorCode::kFreezeTimeout,
       "unable to prepare '%s': interrupted"},
      {FakeCall::kPrepare, FakeEnding::kStuck, ErrorCode::kFreezeTimeout,
       "unable to prepare '%s': no answer in time", true},
      {FakeCall::kHold, FakeEnding::kFail, ErrorCode::kHoldFailed,
       "unable to hold '%s': access denied"},
      {FakeCall::kHold, FakeEnding::kMisconfigure, ErrorCode::kMisconfigured,
       "'%s' has no such database"},
      {FakeCall::kHold, FakeEnding::kThrow, ErrorCode::kHoldFailed,
       "plugin of '%s' threw an exception in hold(): a bug in hold"},
      {FakeCall::kHold, FakeEnding::kThrowOther, ErrorCode::kHoldFailed,
       "plugin of '%s' threw an unknown exception in hold()"},
      {FakeCall::kHold, FakeEnding::kNothing, ErrorCode::kHoldFailed,
       "plugin of '%s' returned no hold"},
      {FakeCall::kHold, FakeEnding::kHang, ErrorCode::kFreezeTimeout,
       "unable to hold '%s': timed out"},
      {FakeCall::kHold, FakeEnding::kHangHard, ErrorCode::kFreezeTimeout,
       "unable to hold '%s': interrupted"},
      {FakeCall::kHold, FakeEnding::kStuck, ErrorCode::kFreezeTimeout,
       "unable to hold '%s': no answer in time", true},
  };
  return kCases;
}

std::string filled(std::string text, const std::string& name) {
  return text.replace(text.find("%s"), 2, name);
}

class CoordinatorFreezeWalk
    : public CoordinatorTest,
      public ::testing::WithParamInterface<std::tuple<std::size_t, int, int>> {};

TEST_P(CoordinatorFreezeWalk, RefusesNamesTheResourceAndLeavesNothingLocked) {
  const auto& [index, count, bad] = GetParam();
  if (bad >= count) return;
  const Case& tried = freeze_cases()[index];
  for (int i = 0; i < count; ++i) {
    support::FakeServer& server = add(std::string(1, static_cast<char>('a' + i)));
    if (i == bad) server.script(tried.call, tried.ending);
  }
  coordinator();
  const auto begin = std::chrono::steady_clock::now();
  const auto frozen = freeze();
  const auto took = std::chrono::steady_clock::now() - begin;
  ASSERT_FALSE(frozen);
  const std::string name = servers_[static_cast<std::size_t>(bad)]->name();
  EXPECT_EQ(said(frozen),
            std::string(base::name_of(tried.expected)) + ": " + filled(tried.text, name) +
                (tried.ends_daemon ? " [also: unable to release '" + name + "': no answer in time]"
                                   : ""));
  EXPECT_LT(took, kLongest);
  EXPECT_EQ(locked(), Names{});
  EXPECT_EQ(coordinator().must_end(), tried.ends_daemon);
  EXPECT_EQ(coordinator().state(), State::kIdle);
  EXPECT_FALSE(marker_exists());
  EXPECT_FALSE(dead_man_.armed());
  EXPECT_EQ(last_record()["verdict"]["code"], base::name_of(tried.expected));
  coordinator().settle();
  EXPECT_FALSE(filesystems_.is_armed());
  if (tried.ends_daemon) return;
  // And once the cause is gone, it works.
  servers_[static_cast<std::size_t>(bad)]->script(tried.call, FakeEnding::kSucceed);
  EXPECT_EQ(said(freeze()), "ok");
  EXPECT_EQ(locked().size(), static_cast<std::size_t>(count));
  EXPECT_EQ(said(thaw()), "ok");
}

INSTANTIATE_TEST_SUITE_P(EveryCallEveryEnding, CoordinatorFreezeWalk,
                         ::testing::Combine(::testing::Range(std::size_t{0}, freeze_cases().size()),
                                            ::testing::Values(1, 3), ::testing::Range(0, 3)));

}  // namespace
}  // namespace holdfast::core
