// SPDX-License-Identifier: MIT
#include "postgresql/postgresql_hold.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "support/temporary_directory.h"
#include "unit/plugins/postgresql/scripted_session.h"

namespace holdfast::postgresql {
namespace {

class DifferenceOfStates : public ::testing::Test {
 protected:
  std::string change(void (*edit)(ServerState&)) const {
    ServerState after = before_;
    edit(after);
    return difference(before_, after);
  }

  ServerState before_{.system_id = "7301",
                      .started = "1700000000.5",
                      .timeline = "1",
                      .lsn = "0/2000",
                      .session_id = 42,
                      .in_recovery = false};
};

TEST_F(DifferenceOfStates, IsNothingWhenNothingMoved) {
  EXPECT_EQ(difference(before_, before_), "");
}

TEST_F(DifferenceOfStates, AllowsTheLogToGrow) {
  EXPECT_EQ(change([](ServerState& after) { after.lsn = "0/2001"; }), "");
}

TEST_F(DifferenceOfStates, SeesALogThatShrank) {
  EXPECT_EQ(change([](ServerState& after) { after.lsn = "0/1FFF"; }),
            "lsn was 0/2000 and is 0/1FFF");
  EXPECT_EQ(change([](ServerState& after) { after.lsn = ""; }), "lsn was 0/2000 and is none");
}

TEST_F(DifferenceOfStates, AllowsAStandbyThatHasReplayedNothingYet) {
  before_.lsn = "";
  EXPECT_EQ(change([](ServerState& after) { after.lsn = "0/1"; }), "");
  EXPECT_EQ(difference(before_, before_), "");
}

TEST_F(DifferenceOfStates, SeesAnotherServer) {
  EXPECT_EQ(change([](ServerState& after) { after.system_id = "7302"; }),
            "another server answers: system identifier was 7301 and is 7302");
  EXPECT_EQ(change([](ServerState& after) { after.started = "1700000001"; }),
            "the server was restarted");
}

TEST_F(DifferenceOfStates, SeesAnotherSession) {
  EXPECT_EQ(change([](ServerState& after) { after.session_id = 43; }),
            "session 43 answers in place of 42");
}

TEST_F(DifferenceOfStates, SeesAPromotion) {
  EXPECT_EQ(change([](ServerState& after) { after.in_recovery = true; }),
            "the server was promoted");
  EXPECT_EQ(change([](ServerState& after) { after.timeline = "2"; }), "timeline was 1 and is 2");
}

// A hold in mode `backup`, on a server that is played.
class BackupHold : public ScriptedSession {
 protected:
  static support::Statement state_of_the_server() {
    return support::answers("pg_backend_pid()",
                            {"7301", "1700000000.5", "3", "0/2000100", "1001", "f"});
  }
  support::Statement stop_of_the_backup(const std::string& map = "") const {
    return support::answers("FROM pg_backup_stop", {"0/3000000", label_, map});
  }

  // How long the session may be silent from now on; for ever, with 0.
  static support::Statement silence(const std::string& milliseconds) {
    return support::answers("set_config('idle_session_timeout', $1, false)", {milliseconds},
                            {milliseconds});
  }

  static support::Statement no_silence(const std::string& milliseconds) {
    return {"set_config('idle_session_timeout', $1, false)", {milliseconds}, [] {
              return support::Answered{{}, "57P01", "terminating connection"};
            }};
  }

  std::unique_ptr<PostgresqlHold> hold(const support::Conversation& later) {
    support::Conversation whole{state_of_the_server()};
    whole.insert(whole.end(), later.begin(), later.end());
    play("16.4", kNewFacts, {.checkpoint = true}, whole);
    auto state = session_.state(soon());
    EXPECT_TRUE(state);
    return std::make_unique<PostgresqlHold>(
        session_, keeper_, "postgresql:main", std::move(*state),
        RunningBackup{"0/2000028", "first-window", directory_.path(), 20}, "");
  }
  static base::Deadline later() { return base::Deadline::in(std::chrono::seconds(10)); }
  static std::string said(const base::Result<void>& result) {
    return result ? "ok" : result.error().text();
  }

  support::TemporaryDirectory directory_;
  LabelKeeper keeper_{waker_};
};

TEST_F(BackupHold, ReportsWhatTheServerGaveAndWhereItIsKept) {
  const auto hold =
      this->hold({state_of_the_server(), stop_of_the_backup("16 /space\n"), silence("0")});
  EXPECT_TRUE(hold->check(later()));
  EXPECT_TRUE(hold->release_report().position.empty());
  EXPECT_EQ(said(hold->release(later())), "ok");
  const api::ReleaseReport report = hold->release_report();
  EXPECT_THAT(
      report.position,
      ::testing::ElementsAre(::testing::Pair("backup-stop-lsn", "0/3000000"),
                             ::testing::Pair("backup-stop-wal-file", "000000030000000000000002"),
                             ::testing::Pair("backup-files", directory_.file("first-window"))));
  EXPECT_THAT(report.files,
              ::testing::ElementsAre(::testing::Pair("backup_label", label_),
                                     ::testing::Pair("tablespace_map", "16 /space\n")));
}

TEST_F(BackupHold, KeepsTheLabelUnderTheWindowThatTookItOver) {
  const auto hold = this->hold({silence("61000"), stop_of_the_backup(), silence("0")});
  EXPECT_TRUE(hold->extend({"second-window", base::Millis(60000)}, later()));
  EXPECT_EQ(said(hold->release(later())), "ok");
  EXPECT_EQ(hold->release_report().position.back().second, directory_.file("second-window"));
  EXPECT_EQ(base::read_file(directory_.file("second-window/backup_label"), 4096).value_or(""),
            label_);
}

TEST_F(BackupHold, HasItsLabelAlsoWhenTheSessionFailsAfterIt) {
  const auto hold = this->hold({stop_of_the_backup(), no_silence("0")});
  EXPECT_EQ(said(hold->release(later())), "ok");
  EXPECT_EQ(hold->release_report().files.size(), 1U);
  EXPECT_FALSE(session_.usable());
}

TEST_F(BackupHold, IsRefusedToASecondWindowThatItCouldNotOutlast) {
  const auto hold = this->hold({no_silence("61000"), stop_of_the_backup(), no_silence("0")});
  EXPECT_FALSE(hold->extend({"second-window", base::Millis(60000)}, later()));
}

TEST_F(BackupHold, ReportsTheLabelAlsoWhenTheDiskDoesNotTakeIt) {
  ASSERT_TRUE(base::write_file(directory_.file("first-window"), "", 0600, base::Durable::kNo));
  const auto hold = this->hold({stop_of_the_backup(), silence("0")});
  EXPECT_EQ(said(hold->release(later())),
            "unable to keep the backup label of 'postgresql:main': unable to make directory '" +
                directory_.file("first-window") + "': Not a directory");
  EXPECT_EQ(hold->release_report().files.size(), 1U);
  EXPECT_EQ(hold->release_report().position.back().first, "backup-stop-wal-file");
}

TEST_F(BackupHold, ReportsNoFilesThatTheRecordHasNoRoomFor) {
  const auto hold = this->hold({stop_of_the_backup(std::string(20000, 'x') + "\n"), silence("0")});
  EXPECT_EQ(said(hold->release(later())), "ok");
  EXPECT_TRUE(hold->release_report().files.empty());
}

TEST_F(BackupHold, ThatEndsBetweenProofAndReleaseHasNoLabel) {
  const auto hold = this->hold({state_of_the_server()});
  EXPECT_TRUE(hold->check(later()));
  session_.shut_down();
  EXPECT_EQ(said(hold->release(later())),
            "unable to keep the backup label of 'postgresql:main': the server has ended session "
            "1001");
}

TEST_F(BackupHold, ThatEndedBeforeItWasProvenHasNothingToRelease) {
  const auto hold = this->hold({});
  session_.shut_down();
  const auto lost = hold->check(later());
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().text(),
            "the session on 'postgresql:main' was lost: the server has ended session 1001");
  EXPECT_EQ(said(hold->release(later())), "ok");
}

}  // namespace
}  // namespace holdfast::postgresql
