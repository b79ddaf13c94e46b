// SPDX-License-Identifier: MIT
#include "definition/still_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>

#include "support/temporary_directory.h"

namespace holdfast::host::definition {
namespace {

constexpr std::size_t kLimit = 1000;

class StillFileTest : public testing::Test {
 protected:
  void write(const std::string& content) {
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << content;
  }

  support::TemporaryDirectory directory_;
  std::string path_ = directory_.path() + "/variables";
};

TEST_F(StillFileTest, IsReadWithTheTimeOfItsLastWrite) {
  write("one");
  const auto before = std::chrono::system_clock::now() - std::chrono::hours(1);
  std::filesystem::last_write_time(
      path_, std::filesystem::file_time_type::clock::now() - std::chrono::hours(2));
  const auto read = read_still_file(path_, kLimit);
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(read->content, "one");
  EXPECT_LT(read->modified, before);
}

TEST_F(StillFileTest, IsReadAgainWhenItChangesBetweenTwoReadings) {
  write("one");
  int readings = 0;
  const auto read = read_still_file(path_, kLimit, [&] {
    if (++readings <= 2) write("two" + std::to_string(readings));
  });
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(read->content, "two2");
  EXPECT_EQ(readings, 3);
}

// As just now, whatever this machine is busy with.
TEST_F(StillFileTest, ThatWasJustWrittenIsGivenTimeForTheNextStepOfItsWriter) {
  write("one");
  std::filesystem::last_write_time(
      path_, std::filesystem::file_time_type::clock::now() + std::chrono::hours(1));
  const auto begin = std::chrono::steady_clock::now();
  const auto read = read_still_file(path_, kLimit);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(50));
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(read->content, "one");
}

TEST_F(StillFileTest, ThatNeverRestsIsGivenUp) {
  write("0");
  int readings = 0;
  const auto read = read_still_file(path_, kLimit, [&] { write(std::to_string(++readings)); });
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().text(), "'" + path_ + "' changes faster than it can be read");
  EXPECT_LT(readings, 100);
}

TEST_F(StillFileTest, IsARegularOneWithinTheLimit) {
  EXPECT_EQ(read_still_file(path_, kLimit).error().text(),
            "unable to find '" + path_ + "': No such file or directory");
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  EXPECT_EQ(read_still_file(path_, kLimit).error().text(),
            "unable to use '" + path_ + "': not a regular file");
  std::filesystem::remove(path_);
  write(std::string(kLimit + 1, 'x'));
  EXPECT_EQ(read_still_file(path_, kLimit).error().code(), base::ErrorCode::kTooLarge);
}

}  // namespace
}  // namespace holdfast::host::definition
