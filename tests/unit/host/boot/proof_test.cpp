// SPDX-License-Identifier: MIT
#include "repository/proof.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "support/temporary_directory.h"

namespace holdfast::host::repository {
namespace {

using base::ErrorCode;

class ProofTest : public ::testing::Test {
 protected:
  void write(ProofResult result, const std::string& at) {
    const auto written = write_proof(directory_.path(), {result, at, {{"reasons", {at}}}});
    ASSERT_TRUE(written) << written.error().text();
  }
  Proof read() {
    auto proof = read_proof(directory_.path());
    EXPECT_TRUE(proof && *proof);
    return proof && *proof ? **proof : Proof{};
  }

  support::TemporaryDirectory directory_;
  std::string file_ = directory_.file("proof.json");
};

TEST_F(ProofTest, IsReadAsItWasWritten) {
  const auto none = read_proof(directory_.path());
  ASSERT_TRUE(none);
  EXPECT_FALSE(*none);
  write(ProofResult::kProven, "2026-11-22T10:00:00.000Z");
  EXPECT_EQ(read().result, ProofResult::kProven);
  EXPECT_EQ(read().at, "2026-11-22T10:00:00.000Z");
  struct stat status {};
  ASSERT_EQ(::stat(file_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST_F(ProofTest, OneThatIsUndecidedKeepsWhatWasKnown) {
  write(ProofResult::kFailed, "1");
  write(ProofResult::kUndecided, "2");
  write(ProofResult::kUndecided, "3");
  EXPECT_EQ(read().at, "3");
  EXPECT_EQ(read().document.at("before").at("result"), "failed");
  EXPECT_EQ(read().document.at("before").at("at"), "1");
  write(ProofResult::kProven, "4");
  EXPECT_FALSE(read().document.contains("before"));
}

TEST_F(ProofTest, RefusesWhatIsNone) {
  for (const char* text :
       {"", "x", "[]", "{}", R"({"schema":2,"result":"proven","at":"1"})",
        R"({"schema":1,"result":"great","at":"1"})", R"({"schema":1,"result":"proven"})"}) {
    ASSERT_TRUE(base::write_file(file_, text, 0600, base::Durable::kNo));
    const auto proof = read_proof(directory_.path());
    ASSERT_FALSE(proof) << text;
    EXPECT_EQ(proof.error().code(), ErrorCode::kCorrupt) << text;
  }
  ASSERT_EQ(::unlink(file_.c_str()), 0);
  ASSERT_EQ(::symlink("/etc/passwd", file_.c_str()), 0);
  EXPECT_FALSE(read_proof(directory_.path()));
}

TEST_F(ProofTest, IsLockedByOneAtATime) {
  {
    const auto lock = lock_proof(directory_.path());
    ASSERT_TRUE(lock);
    const auto other = lock_proof(directory_.path());
    ASSERT_FALSE(other);
    EXPECT_EQ(other.error().code(), ErrorCode::kLocked);
  }
  EXPECT_TRUE(lock_proof(directory_.path()));
}

}  // namespace
}  // namespace holdfast::host::repository
