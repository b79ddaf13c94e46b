// SPDX-License-Identifier: MIT
#include "mysql/statements.h"

#include <gtest/gtest.h>

namespace holdfast::mysql {
namespace {

const ServerVersion kMariadb = parse_version("10.11.19-MariaDB");

TEST(Statement, OfEveryKindDelaysTheLockOnMysql) {
  for (const char* text : {"SELECT 1", "UPDATE t SET a = 1", "ALTER TABLE t ADD b INT"})
    EXPECT_TRUE(delays_read_lock(parse_version("8.4.8"), kind_of(text))) << text;
}

TEST(Statement, OfEveryKindIsTakenToDelayTheLockOnAnUntestedMariadb) {
  EXPECT_TRUE(delays_read_lock(parse_version("10.3.39-MariaDB"), kind_of("SELECT 1")));
}

TEST(Statement, ThatOnlyReadsDelaysNothingOnMariadb) {
  for (const char* text :
       {"SELECT * FROM t", "  (select a from t) union (select b from u)", "show tables",
        "EXPLAIN SELECT 1", "/* hint */ SELECT 1", "-- why\nSELECT 1", "# why\n/* and */ SELECT 1"})
    EXPECT_FALSE(delays_read_lock(kMariadb, kind_of(text))) << text;
}

TEST(Statement, ThatWritesOrLocksDelaysTheLockOnMariadb) {
  for (const char* text :
       {"UPDATE t SET a = 1", "insert into t select * from u", "ALTER TABLE t FORCE",
        "SELECT * FROM t FOR UPDATE", "select * from t lock in share mode", "CALL p()",
        "WITH x AS (SELECT 1) SELECT * FROM x", "/*!50000 UPDATE */ t SET a = 1",
        "/*M! UPDATE t SET a = 1 */", "/* never closed", "-- never ended", ""})
    EXPECT_TRUE(delays_read_lock(kMariadb, kind_of(text))) << text;
}

TEST(Statement, IsASelectOnlyIfItLocksNothing) {
  for (const char* text : {"SELECT 1", "( select 1 )", "/* why */ SELECT a FROM t"})
    EXPECT_TRUE(kind_of(text).selects) << text;
  for (const char* text : {"SELECT a FROM t FOR UPDATE", "SELECT a FROM t FOR SHARE", "SHOW TABLES",
                           "WITH x AS (SELECT 1) SELECT * FROM x", "UPDATE t SET a = 1", ""})
    EXPECT_FALSE(kind_of(text).selects) << text;
}

TEST(Statement, ChangesTheSchemaByItsFirstWord) {
  for (const char* text : {"ALTER TABLE t FORCE", "  create table t (a int)", "TRUNCATE t"})
    EXPECT_TRUE(kind_of(text).changes_schema) << text;
  for (const char* text : {"SELECT 1", "INSERT INTO t SELECT 'alter'", ""})
    EXPECT_FALSE(kind_of(text).changes_schema) << text;
}

RunningStatement old_statement() {
  RunningStatement statement;
  statement.session = 42;
  statement.user = "app\n";
  statement.age = base::Millis(17250);
  return statement;
}

TEST(Statement, IsDescribedWithoutItsText) {
  EXPECT_EQ(description_of(old_statement()),
            "session 42 of user 'app\\x0a' has been running a statement for 17.2 s");
  EXPECT_EQ(epitaph_of(old_statement()),
            "killed a statement of user 'app\\x0a' (session 42) after 17.2 s");
}

}  // namespace
}  // namespace holdfast::mysql
