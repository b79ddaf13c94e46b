// SPDX-License-Identifier: MIT
#include "base/duration.h"

#include <gtest/gtest.h>

namespace holdfast::base {
namespace {

using std::chrono::milliseconds;

TEST(ParseDuration, TakesANumberAndAUnit) {
  EXPECT_EQ(*parse_duration("500ms"), milliseconds(500));
  EXPECT_EQ(*parse_duration("15s"), milliseconds(15000));
  EXPECT_EQ(*parse_duration("2min"), milliseconds(120000));
  EXPECT_EQ(*parse_duration("1h"), milliseconds(3600000));
  EXPECT_EQ(*parse_duration("0s"), milliseconds(0));
}

TEST(ParseDuration, RefusesEverythingElse) {
  for (const char* text : {"", "15", "s", "-1s", "1.5s", "1 s", " 1s", "1s ", "1d", "1S", "0x10s",
                           "99999999999999999999s", "9223372036854775807h"}) {
    const auto parsed = parse_duration(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().text(), std::string("'") + text + "' is not a duration");
    EXPECT_EQ(parsed.error().hint(), "write a whole number and a unit: 500ms, 15s, 2min, 1h");
  }
}

TEST(FormatDuration, TakesTheLargestExactUnit) {
  EXPECT_EQ(format_duration(milliseconds(0)), "0ms");
  EXPECT_EQ(format_duration(milliseconds(1500)), "1500ms");
  EXPECT_EQ(format_duration(milliseconds(15000)), "15s");
  EXPECT_EQ(format_duration(milliseconds(120000)), "2min");
  EXPECT_EQ(format_duration(milliseconds(7200000)), "2h");
}

TEST(FormatTime, IsRfc3339InUtcWithMilliseconds) {
  EXPECT_EQ(format_time(WallTime(milliseconds(0))), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(format_time(WallTime(milliseconds(1795197883120))), "2026-11-20T18:04:43.120Z");
}

}  // namespace
}  // namespace holdfast::base
