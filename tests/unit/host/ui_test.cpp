// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <algorithm>

#include "ui/progress_bar.h"
#include "ui/table.h"

namespace holdfast::host::ui {
namespace {

TEST(ProgressBar, FitsTheTerminal) {
  const std::string half = format_bar("web1: copying vda", 50, 60);
  EXPECT_LE(half.size(), 60U);
  EXPECT_NE(half.find("#"), std::string::npos);
  EXPECT_NE(half.find("]  50%"), std::string::npos);
  EXPECT_EQ(format_bar("a", 1000, 60), format_bar("a", 100, 60));
  EXPECT_EQ(format_bar("a", -5, 60), format_bar("a", 0, 60));
  EXPECT_EQ(format_bar("web1", 50, 20).find('['), std::string::npos);
}

TEST(ProgressBar, WritesNothingWhereNobodyLooks) {
  ::testing::internal::CaptureStderr();
  {
    ProgressBar bar(false);
    bar.update("x", 50);
  }
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

TEST(ProgressBar, DrawsNothingTwice) {
  ::testing::internal::CaptureStderr();
  ProgressBar bar(true);
  for (int i = 0; i < 50; ++i)
    bar.update("x", 100);
  bar.step("settle");
  const std::string written = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(written.begin(), written.end(), '\r'), 2);
  EXPECT_TRUE(written.ends_with("\rsettle\x1b[K"));
}

TEST(ProgressBar, TakesItsLineAwayAgain) {
  ::testing::internal::CaptureStderr();
  {
    ProgressBar bar(true);
    bar.update("x", 50);
  }
  const std::string written = ::testing::internal::GetCapturedStderr();
  EXPECT_TRUE(written.starts_with("\rx"));
  EXPECT_TRUE(written.ends_with("\r\x1b[K"));
}

TEST(Table, AlignsColumnsByWhatIsSeen) {
  EXPECT_EQ(format_table({{"VM", "ID"}, {"größe", "1"}, {"a", "22"}}),
            "VM     ID\ngröße  1\na      22\n");
}

}  // namespace
}  // namespace holdfast::host::ui
