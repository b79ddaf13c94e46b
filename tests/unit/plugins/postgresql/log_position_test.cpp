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

TEST(LogPosition, OfAnythingElseIsNothing) {
  for (const char* text : {"", "/", "16", "16/", "/16", "16/B374D848 ", "1/2/3", "100000000/0",
                           "-1/0", "g/0", "0x1/0"})
    EXPECT_FALSE(parse_lsn(text)) << text;
}

}  // namespace
}  // namespace holdfast::postgresql
