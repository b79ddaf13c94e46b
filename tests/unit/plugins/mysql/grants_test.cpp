// SPDX-License-Identifier: MIT
#include "mysql/grants.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::mysql {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const ServerVersion kMariadb = parse_version("10.11.19-MariaDB");
const ServerVersion kOldMariadb = parse_version("10.4.34-MariaDB");
const ServerVersion kMysql = parse_version("8.4.8");
const ServerVersion kOldMysql = parse_version("5.7.21-log");
constexpr Needs kEverything{.binary_log = true, .instance_lock = true, .kills = true};

TEST(Grants, OfAllDatabasesAreCollectedFromEveryLine) {
  EXPECT_THAT(
      global_privileges(
          {"GRANT RELOAD, PROCESS ON *.* TO `holdfast`@`localhost` IDENTIFIED VIA unix_socket",
           "GRANT BACKUP_ADMIN ON *.* TO `holdfast`@`localhost`",
           "GRANT SELECT ON `performance_schema`.`log_status` TO `holdfast`@`localhost`",
           "GRANT `backup` TO `holdfast`@`localhost`"}),
      ElementsAre("BACKUP_ADMIN", "PROCESS", "RELOAD"));
}

TEST(Grants, OfASingleDatabaseDoNotCount) {
  EXPECT_THAT(global_privileges({"GRANT RELOAD ON `shop`.* TO `holdfast`@`localhost`"}), IsEmpty());
}

TEST(Grants, AreReadInAnyCase) {
  EXPECT_THAT(global_privileges({"GRANT reload, Binlog Monitor ON *.* TO x"}),
              ElementsAre("BINLOG MONITOR", "RELOAD"));
}

TEST(Grants, OfEverythingContainEachPrivilege) {
  const auto all = global_privileges({"GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost`"});
  EXPECT_TRUE(has_privilege(all, "RELOAD"));
  EXPECT_THAT(missing_privileges(all, kMariadb, kEverything), IsEmpty());
  EXPECT_THAT(missing_privileges(all, kMysql, kEverything), IsEmpty());
}

TEST(Grants, ThatAreMissingAreNamedAsTheServerNamesThem) {
  EXPECT_THAT(missing_privileges({}, kMariadb, {}),
              ElementsAre("RELOAD", "PROCESS", "BINLOG MONITOR"));
  EXPECT_THAT(missing_privileges({"PROCESS"}, kOldMariadb, {}),
              ElementsAre("RELOAD", "REPLICATION CLIENT"));
  EXPECT_THAT(missing_privileges({"RELOAD"}, kMysql, {}),
              ElementsAre("PROCESS", "REPLICATION CLIENT"));
}

TEST(Grants, ForThePositionAreNotAskedForWithoutABinaryLog) {
  EXPECT_THAT(missing_privileges({"RELOAD", "PROCESS"}, kMariadb, {.binary_log = false}),
              IsEmpty());
}

TEST(Grants, ForThePositionMayBeSuper) {
  EXPECT_THAT(missing_privileges({"RELOAD", "PROCESS", "SUPER"}, kMysql, {}), IsEmpty());
}

TEST(Grants, ForTheInstanceLockAloneAreAskedFor) {
  EXPECT_THAT(missing_privileges({"RELOAD", "PROCESS", "REPLICATION CLIENT"}, kMysql,
                                 {.instance_lock = true}),
              ElementsAre("BACKUP_ADMIN"));
}

TEST(Grants, ForEndingStatementsOfOthersHaveAnotherNameInEachProduct) {
  const std::set<std::string> held{"RELOAD", "PROCESS", "REPLICATION CLIENT", "BINLOG MONITOR"};
  EXPECT_THAT(missing_privileges(held, kMysql, {.kills = true}), ElementsAre("CONNECTION_ADMIN"));
  EXPECT_THAT(missing_privileges(held, kMariadb, {.kills = true}), ElementsAre("CONNECTION ADMIN"));
  EXPECT_THAT(missing_privileges(held, kOldMysql, {.kills = true}), ElementsAre("SUPER"));
  EXPECT_THAT(missing_privileges(held, kOldMariadb, {.kills = true}), ElementsAre("SUPER"));
}

TEST(Grants, ForSourcesAreTheirOwnOnMariadb) {
  EXPECT_TRUE(may_see_sources({"REPLICATION CLIENT"}, kMysql));
  EXPECT_FALSE(may_see_sources({"BINLOG MONITOR"}, kMariadb));
  EXPECT_TRUE(may_see_sources({"SLAVE MONITOR"}, kMariadb));
  EXPECT_TRUE(may_see_sources({"REPLICA MONITOR"}, kMariadb));
}

TEST(Grants, OnAllTablesShowAllTablesUnlessSomeAreTakenOutAgain) {
  const std::string granted = "GRANT REFERENCES ON *.* TO `h`@`localhost`";
  EXPECT_TRUE(sees_every_table({"REFERENCES"}, {granted}));
  EXPECT_FALSE(sees_every_table({"RELOAD"}, {"GRANT RELOAD ON *.* TO `h`@`localhost`"}));
  EXPECT_FALSE(sees_every_table({"REFERENCES"},
                                {granted, "REVOKE REFERENCES ON `shop`.* FROM `h`@`localhost`"}));
}

TEST(Account, IsQuotedAtTheLastAtSign) {
  EXPECT_EQ(quoted_account("holdfast@localhost"), "'holdfast'@'localhost'");
  EXPECT_EQ(quoted_account("a@b@%"), "'a@b'@'%'");
  EXPECT_EQ(quoted_account("nobody"), "'nobody'@''");
}

}  // namespace
}  // namespace holdfast::mysql
