// SPDX-License-Identifier: MIT
#include "base/size.h"

#include <gtest/gtest.h>

namespace holdfast::base {
namespace {

TEST(ParseSize, TakesANumberAndAUnit) {
  EXPECT_EQ(*parse_size("0KiB"), 0);
  EXPECT_EQ(*parse_size("64KiB"), 65536);
  EXPECT_EQ(*parse_size("50MiB"), 52428800);
  EXPECT_EQ(*parse_size("1GiB"), 1073741824);
  EXPECT_EQ(*parse_size("2TiB"), 2199023255552);
}

TEST(ParseSize, RefusesEverythingElse) {
  for (const char* text :
       {"", "15", "MiB", "-1MiB", "1.5MiB", "1 MiB", " 1MiB", "1MiB ", "1M", "1MB", "1mib",
        "0x10MiB", "1MiB/s", "99999999999999999999KiB", "9223372036854775807KiB"}) {
    const auto parsed = parse_size(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().text(), std::string("'") + text + "' is not a size");
    EXPECT_EQ(parsed.error().hint(), "write a whole number and a unit: 64KiB, 50MiB, 1GiB");
  }
}

TEST(FormatSize, TakesTheLargestExactUnit) {
  EXPECT_EQ(format_size(0), "0B");
  EXPECT_EQ(format_size(1000), "1000B");
  EXPECT_EQ(format_size(65536), "64KiB");
  EXPECT_EQ(format_size(1536 << 10), "1536KiB");
  EXPECT_EQ(format_size(std::int64_t{1} << 40U), "1TiB");
}

}  // namespace
}  // namespace holdfast::base
