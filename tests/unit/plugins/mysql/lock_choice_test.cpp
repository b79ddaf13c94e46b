// SPDX-License-Identifier: MIT
#include "mysql/lock_choice.h"

#include <gtest/gtest.h>

namespace holdfast::mysql {
namespace {

const ServerVersion kMariadb = parse_version("10.11.19-MariaDB");
const ServerVersion kMysql = parse_version("9.7.4");

// A server on which `auto` has no reason against the light lock.
Survey best_case() {
  Survey survey;
  survey.replica = false;
  survey.sees_every_table = true;
  survey.visible_tables = 300;
  survey.may_lock_instance = true;
  survey.reads_log_status = true;
  return survey;
}

std::string chosen(const ServerVersion& version, const Survey& survey) {
  const auto choice = choose_lock(LockSetting::kAuto, version, survey);
  return name_of(choice->kind) + ": " + choice->reason;
}

std::string refusal(LockSetting setting, const ServerVersion& version) {
  const auto refused = choose_lock(setting, version, {});
  EXPECT_FALSE(refused);
  return refused ? std::string() : refused.error().one_line();
}

TEST(LockChoice, TakesWhatIsConfigured) {
  EXPECT_EQ(choose_lock(LockSetting::kFtwrl, kMysql, {})->kind, LockKind::kFtwrl);
  EXPECT_EQ(choose_lock(LockSetting::kBackupStage, kMariadb, {})->kind, LockKind::kBackupStage);
  EXPECT_EQ(choose_lock(LockSetting::kInstance, kMysql, {})->kind, LockKind::kInstance);
  EXPECT_EQ(choose_lock(LockSetting::kInstance, kMysql, {})->reason, "configured");
  EXPECT_FALSE(choose_lock(LockSetting::kBackupStage, kMariadb, {})->may_fall_back);
}

TEST(LockChoice, RefusesWhatTheServerCannotDo) {
  EXPECT_EQ(refusal(LockSetting::kBackupStage, kMysql),
            "lock 'backup-stage' needs MariaDB 10.4.1 or later, and the server is MySQL 9.7.4 (set "
            "lock = auto, or lock = ftwrl, which every server can do)");
  EXPECT_EQ(
      refusal(LockSetting::kInstance, kMariadb),
      "lock 'instance' needs MySQL 8.0 or later, and the server is MariaDB 10.11.19 (set lock "
      "= auto, or lock = ftwrl, which every server can do)");
  for (const char* old : {"10.4.0-MariaDB", "10.3.39-MariaDB"})
    EXPECT_NE(refusal(LockSetting::kBackupStage, parse_version(old)), "") << old;
  EXPECT_NE(refusal(LockSetting::kInstance, parse_version("5.7.21")), "");
}

TEST(LockChoice, KnowsTheFirstVersionsThatHaveEachLock) {
  EXPECT_TRUE(has_backup_stage(parse_version("10.4.1-MariaDB")));
  EXPECT_TRUE(has_backup_stage(parse_version("10.5.0-MariaDB")));
  EXPECT_TRUE(has_backup_stage(parse_version("11.8.2-MariaDB")));
  EXPECT_FALSE(has_backup_stage(parse_version("26.10.0")));
  EXPECT_TRUE(has_instance_lock(parse_version("8.0.11")));
  EXPECT_FALSE(has_instance_lock(kMariadb));
}

TEST(LockChoice, OfAutoIsABackupStageOnMariadb) {
  EXPECT_EQ(chosen(kMariadb, best_case()),
            "backup-stage: MariaDB with backup stages, and no parallel replica");
  EXPECT_TRUE(choose_lock(LockSetting::kAuto, kMariadb, best_case())->may_fall_back);
  Survey threads = best_case();
  threads.parallel_threads = 4;  // but nothing is replicated
  EXPECT_TRUE(chosen(kMariadb, threads).starts_with("backup-stage"));
  EXPECT_TRUE(chosen(parse_version("10.3.39-MariaDB"), best_case()).starts_with("ftwrl: "));
}

TEST(LockChoice, OfAutoIsFtwrlOnAParallelReplicaAndWhereThatIsUnknown) {
  Survey survey = best_case();
  survey.parallel_threads = 4;
  survey.replica = true;
  EXPECT_EQ(chosen(kMariadb, survey),
            "ftwrl: a parallel replica may commit in spite of a backup stage (MDEV-36025)");
  survey.replica.reset();
  EXPECT_EQ(chosen(kMariadb, survey),
            "ftwrl: slave_parallel_threads is above 0, and the account may not see whether this is "
            "a replica");
  survey.parallel_threads = 0;
  EXPECT_TRUE(chosen(kMariadb, survey).starts_with("backup-stage"));
}

TEST(LockChoice, OfAutoIsTheInstanceLockOnMysqlWhereEveryTableIsKnownToBeInInnodb) {
  EXPECT_EQ(chosen(kMysql, best_case()), "instance: every table is in InnoDB");
  EXPECT_TRUE(chosen(parse_version("5.7.21"), best_case()).starts_with("ftwrl: "));
}

TEST(LockChoice, OfAutoIsFtwrlOnMysqlForEveryDoubt) {
  Survey survey = best_case();
  survey.tables_outside_innodb = 3;
  EXPECT_EQ(chosen(kMysql, survey), "ftwrl: tables outside InnoDB: 3");
  survey = best_case();
  survey.visible_tables = 0;  // not: none
  EXPECT_EQ(chosen(kMysql, survey),
            "ftwrl: the account cannot see every table, so some may be outside InnoDB");
  survey = best_case();
  survey.sees_every_table = false;
  EXPECT_EQ(chosen(kMysql, survey),
            "ftwrl: the account cannot see every table, so some may be outside InnoDB");
  survey = best_case();
  survey.may_lock_instance = false;
  EXPECT_EQ(chosen(kMysql, survey), "ftwrl: the account lacks BACKUP_ADMIN");
  survey = best_case();
  survey.reads_log_status = false;
  EXPECT_EQ(chosen(kMysql, survey),
            "ftwrl: the account lacks SELECT on performance_schema.log_status");
}

}  // namespace
}  // namespace holdfast::mysql
