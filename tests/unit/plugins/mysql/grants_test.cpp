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
  EXPECT_THAT(missing_privileges(all, kMariadb, true), IsEmpty());
  EXPECT_THAT(missing_privileges(all, kMysql, true), IsEmpty());
}

TEST(Grants, ThatAreMissingAreNamedAsTheServerNamesThem) {
  EXPECT_THAT(missing_privileges({}, kMariadb, true),
              ElementsAre("RELOAD", "PROCESS", "BINLOG MONITOR"));
  EXPECT_THAT(missing_privileges({"PROCESS"}, kOldMariadb, true),
              ElementsAre("RELOAD", "REPLICATION CLIENT"));
  EXPECT_THAT(missing_privileges({"RELOAD"}, kMysql, true),
              ElementsAre("PROCESS", "REPLICATION CLIENT"));
}

TEST(Grants, ForThePositionAreNotAskedForWithoutABinaryLog) {
  EXPECT_THAT(missing_privileges({"RELOAD", "PROCESS"}, kMariadb, false), IsEmpty());
}

TEST(Grants, ForThePositionMayBeSuper) {
  EXPECT_THAT(missing_privileges({"RELOAD", "PROCESS", "SUPER"}, kMysql, true), IsEmpty());
}

TEST(Account, IsQuotedAtTheLastAtSign) {
  EXPECT_EQ(quoted_account("holdfast@localhost"), "'holdfast'@'localhost'");
  EXPECT_EQ(quoted_account("a@b@%"), "'a@b'@'%'");
  EXPECT_EQ(quoted_account("nobody"), "'nobody'@''");
}

}  // namespace
}  // namespace holdfast::mysql
