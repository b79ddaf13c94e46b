// SPDX-License-Identifier: MIT
#include "exec/trust.h"

#include "exec_fixture.h"

namespace holdfast::exec {
namespace {

using ExecTrust = ExecFixture;

TEST_F(ExecTrust, IsGivenToAFileThatOnlyItsOwnerCanChange) {
  const auto trusted = require_trusted(script("hold"));
  EXPECT_TRUE(trusted) << trusted.error().text();
}

TEST_F(ExecTrust, IsNotGivenToAFileThatTheGroupCanWrite) {
  const std::string file = write("hold", "#!/bin/sh\n", 0775);
  const auto trusted = require_trusted(file);
  ASSERT_FALSE(trusted);
  EXPECT_EQ(trusted.error().code(), base::ErrorCode::kPermission);
  EXPECT_EQ(trusted.error().text(),
            "unable to run '" + file + "' as root: can be written by others than its owner");
}

TEST_F(ExecTrust, IsNotGivenBelowADirectoryThatOthersCanWrite) {
  const std::string file = script("programs/hold");
  ASSERT_EQ(::chmod(path("programs").c_str(), 0777), 0);
  const auto trusted = require_trusted(file);
  ASSERT_FALSE(trusted);
  EXPECT_EQ(trusted.error().text(), "unable to run '" + file + "' as root: '" + path("programs") +
                                        "' can be written by others than its owner");
}

TEST_F(ExecTrust, IsNotGivenToADirectoryWithTheStickyBitThatOthersCanWrite) {
  // On the way to a file it would do; here it is the directory whose files are to run.
  ASSERT_EQ(::chmod(path("programs").c_str(), 01777), 0);
  EXPECT_FALSE(require_trusted(path("programs")));
  EXPECT_TRUE(require_trusted(script("programs/hold")));
}

TEST_F(ExecTrust, FollowsASymbolicLinkToWhatItNames) {
  std::filesystem::create_directory(path("elsewhere"));
  const std::string file = script("elsewhere/hold");
  std::filesystem::create_symlink("../elsewhere/./hold", path("programs/link"));
  EXPECT_TRUE(require_trusted(path("programs/link")));
  ASSERT_EQ(::chmod(path("elsewhere").c_str(), 0777), 0);
  EXPECT_FALSE(require_trusted(path("programs/link")));
}

TEST_F(ExecTrust, IsNotGivenThroughALinkInADirectoryThatOthersCanWrite) {
  // The target is fine, but others choose which target it is.
  const std::string file = script("hold");
  std::filesystem::create_symlink(file, path("programs/link"));
  std::filesystem::create_symlink(path("programs/link"), path("first"));
  ASSERT_TRUE(require_trusted(path("first")));
  ASSERT_EQ(::chmod(path("programs").c_str(), 0777), 0);
  EXPECT_FALSE(require_trusted(path("first")));
}

TEST_F(ExecTrust, EndsOnALoopOfLinks) {
  std::filesystem::create_symlink(path("b"), path("a"));
  std::filesystem::create_symlink(path("a"), path("b"));
  EXPECT_FALSE(require_trusted(path("a")));
}

TEST_F(ExecTrust, IsNotGivenToAFileOfAnotherUser) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
  const std::string file = script("hold");
  ASSERT_EQ(::chown(file.c_str(), 65534, 65534), 0);
  const auto trusted = require_trusted(file);
  ASSERT_FALSE(trusted);
  EXPECT_EQ(trusted.error().text(), "unable to run '" + file + "' as root: belongs to user 65534");
}

TEST_F(ExecTrust, SaysWhatDoesNotExist) {
  const auto trusted = require_trusted(path("none/hold"));
  ASSERT_FALSE(trusted);
  EXPECT_EQ(trusted.error().code(), base::ErrorCode::kNotFound);
}

}  // namespace
}  // namespace holdfast::exec
