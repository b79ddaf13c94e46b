// SPDX-License-Identifier: MIT
#include "repository/remembered.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/file.h"
#include "support/temporary_directory.h"

namespace holdfast::host::repository {
namespace {

using base::Error;
using base::ErrorCode;

class RememberedTest : public ::testing::Test {
 protected:
  void expect_remembered(const std::string& path, bool expected) const {
    EXPECT_EQ(is_remembered(state_, path), expected) << path;
  }

  support::TemporaryDirectory directory_;
  std::string state_ = directory_.path();
  std::string file_ = directory_.file("repositories");
};

TEST_F(RememberedTest, IsNothingOnANewHost) {
  expect_remembered("/backup", false);
}

TEST_F(RememberedTest, IsEachPathOnceHoweverItIsSpelledAtItsEnd) {
  const std::string odd = "/back\nup \"\xc3\xa9\"";
  for (int round = 0; round < 2; ++round) {
    for (const std::string& path : {std::string("/backup"), std::string("/backup//"), odd})
      ASSERT_TRUE(remember(state_, path));
  }
  for (const std::string& path : {std::string("/backup"), std::string("/backup/"), odd})
    expect_remembered(path, true);
  for (const char* path : {"/back", "/backup2", "/", "", "/back\nup"})
    expect_remembered(path, false);
  EXPECT_EQ(base::read_file(file_, 1000).value(),
            "\n\"/backup\"\n\n\"/back\\nup \\\"\xc3\xa9\\\"\"\n");
  struct stat status {};
  ASSERT_EQ(::stat(file_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST_F(RememberedTest, OutlivesALineThatAPowerCutHasTorn) {
  ASSERT_TRUE(base::write_file(file_, "\n\"/ba", 0600, base::Durable::kNo));
  ASSERT_TRUE(remember(state_, "/backup"));
  expect_remembered("/backup", true);
  expect_remembered("/ba", false);
}

TEST_F(RememberedTest, SaysWhereItCannotWrite) {
  const auto noted = remember(directory_.file("none"), "/backup");
  ASSERT_FALSE(noted);
  EXPECT_EQ(noted.error().text(), "unable to write '" + directory_.file("none") +
                                      "/repositories': No such file or directory");
}

TEST_F(RememberedTest, CallsNothingGoneThatMayBeThere) {
  EXPECT_EQ(gone("/backup", Error(ErrorCode::kIo, "no answer")).text(), "no answer");
  const Error error = gone("/backup", Error(ErrorCode::kRefused, "it is not one of Holdfast's"));
  EXPECT_EQ(error.one_line(),
            "the repository '/backup' is gone: this host has published backups in it: it is not "
            "one of Holdfast's (is its filesystem mounted? To begin anew there: "
            "--new-repository)");
}

}  // namespace
}  // namespace holdfast::host::repository
