// SPDX-License-Identifier: MIT
#include "postgresql/log_position.h"

#include <gtest/gtest.h>

namespace holdfast::postgresql {
namespace {

TEST(LogPosition, IsReadAsPostgresqlWritesIt) {
  EXPECT_EQ(parse_lsn("0/0"), 0U);
  EXPECT_EQ(parse_lsn("16/B374D848"), 0x16B374D848U);
  EXPECT_EQ(parse_lsn("FFFFFFFF/FFFFFFFF"), UINT64_MAX);
}

TEST(LogPosition, ComparesAcrossTheHalves) {
  EXPECT_LT(*parse_lsn("0/FFFFFFFF"), *parse_lsn("1/0"));
}

TEST(WalFile, IsThatOfTheByteBeforeThePosition) {
  constexpr std::uint64_t kSegment = 16U << 20U;
  EXPECT_EQ(wal_file_of(1, *parse_lsn("0/3000028"), kSegment), "000000010000000000000003");
  EXPECT_EQ(wal_file_of(1, *parse_lsn("0/3000000"), kSegment), "000000010000000000000002");
  EXPECT_EQ(wal_file_of(1, *parse_lsn("0/3000001"), kSegment), "000000010000000000000003");
  EXPECT_EQ(wal_file_of(27, *parse_lsn("16/B374D848"), kSegment), "0000001B00000016000000B3");
  EXPECT_EQ(wal_file_of(1, 0, kSegment), "000000010000000000000000");
}

TEST(WalFile, DependsOnTheSizeOfTheFiles) {
  EXPECT_EQ(wal_file_of(1, *parse_lsn("16/B374D848"), 1U << 20U), "000000010000001600000B37");
  EXPECT_EQ(wal_file_of(1, *parse_lsn("16/B374D848"), 1U << 30U), "000000010000001600000002");
}

TEST(LogPosition, OfAnythingElseIsNothing) {
  for (const char* text : {"", "/", "16", "16/", "/16", "16/B374D848 ", "1/2/3", "100000000/0",
                           "-1/0", "g/0", "0x1/0"})
    EXPECT_FALSE(parse_lsn(text)) << text;
}

}  // namespace
}  // namespace holdfast::postgresql
