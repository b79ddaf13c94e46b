// SPDX-License-Identifier: MIT
#include "mysql/statements.h"

#include <gtest/gtest.h>

namespace holdfast::mysql {
namespace {

const ServerVersion kMariadb = parse_version("10.11.19-MariaDB");

TEST(Statement, OfEveryKindDelaysTheLockOnMysql) {
  for (const char* text : {"SELECT 1", "UPDATE t SET a = 1", "ALTER TABLE t ADD b INT"})
    EXPECT_TRUE(delays_lock(parse_version("8.4.8"), text)) << text;
}

TEST(Statement, OfEveryKindIsTakenToDelayTheLockOnAnUntestedMariadb) {
  EXPECT_TRUE(delays_lock(parse_version("10.3.39-MariaDB"), "SELECT 1"));
}

TEST(Statement, ThatOnlyReadsDelaysNothingOnMariadb) {
  for (const char* text :
       {"SELECT * FROM t", "  (select a from t) union (select b from u)", "show tables",
        "EXPLAIN SELECT 1", "/* hint */ SELECT 1", "-- why\nSELECT 1", "# why\n/* and */ SELECT 1"})
    EXPECT_FALSE(delays_lock(kMariadb, text)) << text;
}

TEST(Statement, ThatWritesOrLocksDelaysTheLockOnMariadb) {
  for (const char* text :
       {"UPDATE t SET a = 1", "insert into t select * from u", "ALTER TABLE t FORCE",
        "SELECT * FROM t FOR UPDATE", "select * from t lock in share mode", "CALL p()",
        "WITH x AS (SELECT 1) SELECT * FROM x", "/*!50000 UPDATE */ t SET a = 1",
        "/*M! UPDATE t SET a = 1 */", "/* never closed", "-- never ended", ""})
    EXPECT_TRUE(delays_lock(kMariadb, text)) << text;
}

TEST(Statement, IsDescribedWithoutItsText) {
  EXPECT_EQ(description_of({42, "app\n", base::Millis(17250)}),
            "session 42 of user 'app\\x0a' has been running a statement for 17.2 s");
}

}  // namespace
}  // namespace holdfast::mysql
