// SPDX-License-Identifier: MIT
//
// The session on servers of every supported version, played from scripts: what it asks each of
// them, and what it makes of answers that a real server rarely gives.
#include "postgresql/postgresql_session.h"

#include <gtest/gtest.h>

#include <future>

#include "unit/plugins/postgresql/scripted_session.h"

namespace holdfast::postgresql {
namespace {

using base::Deadline;
using base::ErrorCode;
using support::Answered;
using support::answers;
using support::refuses;
using support::Statement;
using namespace std::chrono_literals;

using SessionTest = ScriptedSession;

TEST_F(SessionTest, LearnsWhoAnswers) {
  play("16.4", kNewFacts, {.checkpoint = true}, {});
  EXPECT_EQ(session_.facts().version, 160004);
  EXPECT_EQ(session_.facts().version_text, "16.4 (test)");
  EXPECT_EQ(session_.facts().session_id, 1001);
  EXPECT_TRUE(session_.facts().may_checkpoint);
  EXPECT_TRUE(session_.facts().may_back_up);
  EXPECT_TRUE(session_.facts().archives);
  EXPECT_FALSE(session_.facts().in_the_clear);
}

TEST_F(SessionTest, RunsCheckpointWhereItMay) {
  play("16.4", kNewFacts, {.checkpoint = true}, {answers("CHECKPOINT", {})});
  EXPECT_TRUE(session_.checkpoint(soon()));
}

TEST_F(SessionTest, RunsCheckpointAsASuperuserOfAnyVersion) {
  play("14.11", kOldFacts, {.superuser = true}, {answers("CHECKPOINT", {})});
  EXPECT_TRUE(session_.checkpoint(soon()));
}

TEST_F(SessionTest, StartsAndEndsABackupForACheckpointBefore15) {
  play("14.11", kOldFacts, {},
       {answers("pg_start_backup($1, true, false)", {"0/2000028"}, {"holdfast checkpoint"}),
        answers("FROM pg_stop_backup(false, false)", {"0/2000100", label_, ""})});
  EXPECT_TRUE(session_.checkpoint(soon()));
  EXPECT_TRUE(session_.usable());
}

TEST_F(SessionTest, StaysWhenSuchACheckpointIsRefused) {
  play("13.14", kOldFacts, {},
       {{"pg_start_backup", {"holdfast checkpoint"}, [] {
           return Answered{{},
                           "55000",
                           "WAL level not sufficient for making an online backup",
                           "wal_level must be set to \"replica\" or \"logical\" at server start."};
         }}});
  const auto refused = session_.checkpoint(soon());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().one_line(),
            "WAL level not sufficient for making an online backup (55000) (wal_level must be set "
            "to \"replica\" or \"logical\" at server start.)");
  EXPECT_TRUE(session_.usable());
}

TEST_F(SessionTest, EndsWithTheBackupThatItCannotStop) {
  play("14.11", kOldFacts, {},
       {answers("pg_start_backup", {"0/2000028"}, {"holdfast checkpoint"}),
        refuses("pg_stop_backup", {{}, "58030", "could not write file"})});
  EXPECT_FALSE(session_.checkpoint(soon()));
  EXPECT_FALSE(session_.usable());
}

TEST_F(SessionTest, NamesTheFunctionsAsTheVersionDoes) {
  play("14.11", kOldFacts, {},
       {answers("SELECT pg_start_backup($1, true, false)", {"0/2000028"}, {"holdfast w"}),
        answers("FROM pg_stop_backup(false, false)", {"0/3000000", label_, "16 /space\n"})});
  const auto started = session_.backup_start("holdfast w", soon());
  ASSERT_TRUE(started);
  EXPECT_EQ(*started, "0/2000028");
  const auto stop = session_.backup_stop(soon());
  ASSERT_TRUE(stop);
  EXPECT_EQ(stop->lsn, "0/3000000");
  EXPECT_EQ(stop->label, label_);
  EXPECT_EQ(stop->tablespace_map, "16 /space\n");
  EXPECT_EQ(stop->wal_file, "000000030000000000000002");
}

TEST_F(SessionTest, NamesTheFunctionsAsTheyAreCalledSince15) {
  for (const char* version : {"15.6", "16.4", "17.2", "18.0"}) {
    SCOPED_TRACE(version);
    play(
        version, kNewFacts, {},
        {answers("SELECT pg_backup_start($1, fast => true)", {"0/2000028"}, {"holdfast w"}),
         answers("FROM pg_backup_stop(wait_for_archive => false)", {"0/3000001", "no label", ""})});
    EXPECT_TRUE(session_.backup_start("holdfast w", soon()));
    const auto stop = session_.backup_stop(soon());
    ASSERT_TRUE(stop);
    EXPECT_EQ(stop->wal_file, "") << "without a timeline there is no name";
    session_.close();
    EXPECT_EQ(server_->finish(), "");
  }
}

TEST_F(SessionTest, LetsTheServerEndASilentSessionAMomentAfterTheBound) {
  const std::string statement = "set_config('idle_session_timeout', $1, false)";
  play("14.11", kOldFacts, {},
       {answers(statement, {"3000"}, {"3000"}), answers(statement, {"0"}, {"0"})});
  EXPECT_TRUE(session_.bound_silence(1001ms, soon()));
  EXPECT_TRUE(session_.unbound_silence(soon()));
}

TEST_F(SessionTest, AsksNoServerBefore14ForWhatItDoesNotKnow) {
  play("13.14", kOldFacts, {}, {});
  EXPECT_TRUE(session_.bound_silence(1s, soon()));
  EXPECT_TRUE(session_.unbound_silence(soon()));
}

TEST_F(SessionTest, HasAStatementCancelledThatIsNotAnsweredInTime) {
  std::promise<void> cancelled;
  const auto seen = cancelled.get_future().share();
  const Statement slow{"CHECKPOINT", {}, [seen] {
                         (void)seen.wait_for(10s);
                         return Answered{{}, "57014", "canceling statement due to user request"};
                       }};
  const Statement cancel{"pg_cancel_backend($1)", {"1001"}, [&cancelled] {
                           cancelled.set_value();
                           return Answered{{"t"}};
                         }};
  play("16.4", kNewFacts, {.checkpoint = true}, {slow, answers("pg_backend_pid", {})}, {{cancel}});
  const auto late = session_.checkpoint({.deadline = Deadline::in(30ms)});
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code(), ErrorCode::kTimedOut);
  // A busy machine may take longer than a cancel is granted; then the session has to be closed.
  if (session_.usable()) {
    EXPECT_TRUE(session_.state(soon()));
  } else {
    (void)server_->finish();
    server_.reset();
  }
}

TEST_F(SessionTest, IsClosedWhenTheServerEndsIt) {
  play("17.2", kNewFacts, {},
       {refuses("pg_backend_pid", {.row = {},
                                   .state = "57P01",
                                   .message = "terminating connection due to administrator command",
                                   .hint = {},
                                   .fatal = true})});
  const auto ended = session_.state(soon());
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().code(), ErrorCode::kUnreachable);
  // With or without the code: that depends on whether libpq reads the end of the stream with it.
  EXPECT_NE(ended.error().text().find("terminating connection due to administrator command"),
            std::string::npos);
  EXPECT_FALSE(session_.usable());
  EXPECT_EQ(session_.fd(), -1);
}

TEST_F(SessionTest, ReadsTheStateOfAServer) {
  play("16.4", kNewFacts, {},
       {answers("CASE WHEN pg_is_in_recovery() THEN (SELECT timeline_id",
                {"7301", "1700000000.5", "3", "0/2000100", "1001", "t"})});
  const auto state = session_.state(soon());
  ASSERT_TRUE(state);
  EXPECT_EQ(state->system_id, "7301");
  EXPECT_EQ(state->timeline, "3");
  EXPECT_EQ(state->lsn, "0/2000100");
  EXPECT_EQ(state->session_id, 1001);
  EXPECT_TRUE(state->in_recovery);
}

}  // namespace
}  // namespace holdfast::postgresql
