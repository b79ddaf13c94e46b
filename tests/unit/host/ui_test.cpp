// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "ui/journal.h"
#include "ui/progress_bar.h"
#include "ui/progress_board.h"
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

TEST(ProgressBoard, DrawsItsLinesInPlaceAndTakesThemAway) {
  ::testing::internal::CaptureStderr();
  {
    ProgressBoard board(true);
    board.step("web1", "freeze");
    board.step("db1", "freeze");
    board.remove("web1");
    board.step("db1", "copy");
  }
  EXPECT_EQ(::testing::internal::GetCapturedStderr(),
            "web1: freeze\x1b[K\n\x1b[J"
            "\x1b[1A\rweb1: freeze\x1b[K\ndb1: freeze\x1b[K\n\x1b[J"
            "\x1b[2A\r\x1b[J"
            "db1: copy\x1b[K\n\x1b[J"
            "\x1b[1A\r\x1b[J");
}

TEST(ProgressBoard, KeepsWithinTheTerminalAndIsNotDrawnForEveryPercent) {
  ::testing::internal::CaptureStderr();
  {
    ProgressBoard board(true);
    for (int i = 0; i < 100; ++i)
      board.step("vm" + std::to_string(i), std::string(200, 'x'));
    for (int i = 0; i < 50; ++i)
      board.update("vm0", "copying", 1);
  }
  const std::string written = ::testing::internal::GetCapturedStderr();
  const std::size_t last = written.rfind("\x1b[", written.size() - 5);
  EXPECT_EQ(written.substr(last), "\x1b[23A\r\x1b[J");
  for (std::size_t begin = 0, end; (end = written.find("\x1b[K\n", begin)) != std::string::npos;
       begin = end + 4) {
    const std::size_t text = written.rfind('\r', end) == std::string::npos
                                 ? begin
                                 : std::max(begin, written.rfind('\r', end) + 1);
    EXPECT_LT(end - text, 80U + 3U /* \x1b[J of the first one */);
  }
  std::size_t drawn = 0;
  for (std::size_t at = 0; (at = written.find("copying", at)) != std::string::npos; ++at)
    ++drawn;
  EXPECT_LT(drawn, 50U);
}

TEST(ProgressBoard, WritesNothingWhereNobodyLooks) {
  ::testing::internal::CaptureStderr();
  {
    ProgressBoard board(false);
    board.step("web1", "freeze");
    board.update("web1", "copying", 5);
    board.remove("web1");
  }
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

TEST(Table, AlignsColumnsByWhatIsSeen) {
  EXPECT_EQ(format_table({{"VM", "ID"}, {"größe", "1"}, {"a", "22"}}),
            "VM     ID\ngröße  1\na      22\n");
}

TEST(Journal, IsTheStreamThatTheVariableNames) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  struct stat status {};
  ASSERT_EQ(::fstat(ends[1], &status), 0);
  const std::string stream = std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino);
  EXPECT_TRUE(is_journal_stream(ends[1], stream));
  EXPECT_FALSE(is_journal_stream(ends[1], stream + "0"));
  EXPECT_FALSE(is_journal_stream(ends[1], ""));
  EXPECT_FALSE(is_journal_stream(-1, stream));
  ::close(ends[0]);
  ::close(ends[1]);
}

}  // namespace
}  // namespace holdfast::host::ui
