// SPDX-License-Identifier: MIT
#include "base/file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <string>

#include "support/temporary_directory.h"

namespace holdfast::base {
namespace {

class File : public testing::Test {
 protected:
  support::TemporaryDirectory directory_;
  std::string path_ = directory_.file("file");
};

TEST_F(File, ComesBackAsItWasWritten) {
  ASSERT_TRUE(write_file(path_, std::string("one\0two", 7), 0640, Durable::kYes));
  EXPECT_EQ(*read_file(path_, 7), std::string("one\0two", 7));
  struct stat status {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0640U);
}

TEST_F(File, IsRemovedWhetherOrNotItIsThere) {
  ASSERT_TRUE(write_file(path_, "x", 0600, Durable::kNo));
  EXPECT_TRUE(remove_file(path_));
  EXPECT_NE(::access(path_.c_str(), F_OK), 0);
  EXPECT_TRUE(remove_file(path_));
  ASSERT_EQ(::mkdir(path_.c_str(), 0700), 0);
  const auto refused = remove_file(path_);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().text().find("unable to remove '" + path_ + "'"), std::string::npos);
}

TEST_F(File, ReplacesTheOldOneAndLeavesNoTemporaryFile) {
  ASSERT_TRUE(write_file(path_, "old", 0600, Durable::kNo));
  ASSERT_TRUE(write_file(path_, "new", 0600, Durable::kNo));
  EXPECT_EQ(*read_file(path_, 100), "new");
  EXPECT_EQ(directory_.entries(), 1U);
}

TEST_F(File, ThatIsTooLargeIsRefused) {
  ASSERT_TRUE(write_file(path_, "12345", 0600, Durable::kNo));
  const auto content = read_file(path_, 4);
  ASSERT_FALSE(content);
  EXPECT_EQ(content.error().code(), ErrorCode::kTooLarge);
  EXPECT_EQ(content.error().text(), "unable to read '" + path_ + "': larger than 4 B");
}

TEST_F(File, ThatIsMissingIsNamed) {
  const auto content = read_file(path_, 4);
  ASSERT_FALSE(content);
  EXPECT_EQ(content.error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(content.error().text(), "unable to open '" + path_ + "': No such file or directory");
}

TEST_F(File, ThatIsADirectoryCannotBeRead) {
  EXPECT_EQ(read_file(directory_.path(), 10).error().text(),
            "unable to read '" + directory_.path() + "': Is a directory");
}

TEST_F(File, InAMissingDirectoryCannotBeWritten) {
  const auto written = write_file(directory_.file("no/file"), "x", 0600, Durable::kNo);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code(), ErrorCode::kNotFound);
}

TEST_F(File, OntoADirectoryCannotBeWrittenAndLeavesNothing) {
  ASSERT_EQ(::mkdir(path_.c_str(), 0700), 0);
  EXPECT_FALSE(write_file(path_, "x", 0600, Durable::kNo));
  EXPECT_EQ(directory_.entries(), 1U);
}

TEST_F(File, WhoseWriterWasKilledLeavesNothingThatIsNotDiscarded) {
  const std::array<std::string, 5> others{path_ + ".lock", path_ + ".a-cdef", path_ + ".abcdefg",
                                          directory_.file("other.abcdef"), path_};
  for (const std::string& other : others)
    ASSERT_TRUE(write_file(other, "x", 0600, Durable::kNo));
  for (const char* random : {".abcdef", ".A1b2C3"})
    ASSERT_TRUE(write_file(path_ + random, "half", 0600, Durable::kNo));
  discard_unfinished(path_);
  EXPECT_EQ(directory_.entries(), others.size());
  for (const std::string& other : others)
    EXPECT_TRUE(read_file(other, 10)) << other;
  discard_unfinished(directory_.file("no/file"));
}

TEST_F(File, WithASecretMustBeItsOwnersAlone) {
  for (const mode_t mode : {0600U, 0400U}) {
    ASSERT_TRUE(write_file(path_, "secret", mode, Durable::kNo));
    EXPECT_TRUE(require_private(path_));
  }
  for (const mode_t mode : {0640U, 0604U, 0620U, 0602U, 0644U}) {
    ASSERT_TRUE(write_file(path_, "secret", mode, Durable::kNo));
    const auto is_private = require_private(path_);
    ASSERT_FALSE(is_private) << mode;
    EXPECT_EQ(is_private.error().code(), ErrorCode::kPermission);
    EXPECT_EQ(is_private.error().one_line(), "unable to use '" + path_ +
                                                 "': others than its owner may read or write it " +
                                                 "(it holds a password: chmod 600 " + path_ + ")");
  }
  EXPECT_FALSE(require_private(directory_.file("missing")));
}

}  // namespace
}  // namespace holdfast::base
