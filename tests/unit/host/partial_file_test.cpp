// SPDX-License-Identifier: MIT
#include "command/partial_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <optional>

#include "base/file.h"
#include "support/temporary_directory.h"

namespace holdfast::host::command {
namespace {

using base::ErrorCode;

class ThePartialFile : public ::testing::Test {
 protected:
  [[nodiscard]] std::string content_of(const std::string& path) {
    return base::read_file(path, 100).value_or("");
  }

  support::TemporaryDirectory directory_;
  std::string target_ = directory_.file("disk");
};

TEST_F(ThePartialFile, HasItsNameOnlyWhenItIsKept) {
  auto file = PartialFile::of(target_);
  ASSERT_TRUE(file);
  EXPECT_EQ(file->path(), target_ + ".partial");
  ASSERT_TRUE(file->write("all of "));
  ASSERT_TRUE(file->write("it"));
  EXPECT_FALSE(std::filesystem::exists(target_));
  ASSERT_TRUE(file->keep());
  EXPECT_EQ(content_of(target_), "all of it");
  struct stat status {};
  ASSERT_EQ(::stat(target_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  EXPECT_EQ(directory_.entries(), 1U);
}

TEST_F(ThePartialFile, IsGoneUnlessItIsKept) {
  {
    const auto file = PartialFile::of(target_);
    ASSERT_TRUE(file);
    EXPECT_EQ(directory_.entries(), 1U);
  }
  EXPECT_EQ(directory_.entries(), 0U);
}

TEST_F(ThePartialFile, StaysWhenTheOneItWasMovedFromGoes) {
  std::optional<PartialFile> moved;
  {
    auto file = PartialFile::of(target_);
    ASSERT_TRUE(file);
    moved.emplace(std::move(*file));
  }
  ASSERT_TRUE(moved->write("it"));
  ASSERT_TRUE(moved->keep());
  EXPECT_EQ(content_of(target_), "it");
}

TEST_F(ThePartialFile, NeverTakesThePlaceOfAnother) {
  {
    auto file = PartialFile::of(target_);
    ASSERT_TRUE(file);
    ASSERT_TRUE(base::write_file(target_, "theirs", 0600, base::Durable::kNo));
    const auto kept = file->keep();
    ASSERT_FALSE(kept);
    EXPECT_EQ(kept.error().message(), "unable to name '" + target_ + "': File exists");
  }
  EXPECT_EQ(content_of(target_), "theirs");
  EXPECT_EQ(directory_.entries(), 1U);
}

TEST_F(ThePartialFile, LeavesAnUnfinishedOneOfSomebodyElseAlone) {
  ASSERT_TRUE(base::write_file(target_ + ".partial", "theirs", 0600, base::Durable::kNo));
  const auto file = PartialFile::of(target_);
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().message(), "unable to make '" + target_ + ".partial': File exists");
  EXPECT_EQ(content_of(target_ + ".partial"), "theirs");
}

}  // namespace
}  // namespace holdfast::host::command
