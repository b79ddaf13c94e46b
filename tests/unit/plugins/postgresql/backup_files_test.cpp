// SPDX-License-Identifier: MIT
#include "postgresql/backup_files.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <array>
#include <filesystem>

#include "base/file.h"
#include "support/temporary_directory.h"

namespace holdfast::postgresql {
namespace {

class BackupFiles : public ::testing::Test {
 protected:
  std::string content(const std::string& name) const {
    return base::read_file(state_ + "/window/" + name, 4096).value_or("absent");
  }

  support::TemporaryDirectory directory_;
  // Two levels that do not exist yet.
  std::string state_ = directory_.file("lib/resource");
};

TEST_F(BackupFiles, AreWrittenByteForByteAndPrivate) {
  ASSERT_TRUE(write_backup_files(state_, "window", {"0/9", "F", "LABEL: x\n", "16 /space\n"}, 20));
  EXPECT_EQ(content("backup_label"), "LABEL: x\n");
  EXPECT_EQ(content("tablespace_map"), "16 /space\n");
  EXPECT_EQ(content("backup_stop_lsn"), "0/9\n");
  EXPECT_EQ(content("backup_stop_wal_file"), "F\n");
  struct stat status {};
  ASSERT_EQ(::stat((state_ + "/window/backup_label").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST_F(BackupFiles, HaveNoEmptyTablespaceMap) {
  ASSERT_TRUE(write_backup_files(state_, "window", {"0/9", "F", "LABEL: x\n", ""}, 20));
  EXPECT_EQ(content("tablespace_map"), "absent");
}

TEST_F(BackupFiles, OfTheOldestWindowsAreRemoved) {
  for (const char* window : {"a", "b", "c", "window"}) {
    ASSERT_TRUE(write_backup_files(state_, window, {"0/9", "F", "LABEL: x\n", ""}, 2));
    // Written within one tick of the clock, they would be of the same age.
    const std::string path = state_ + "/" + window;
    const timespec age{window[0], 0};
    const std::array<timespec, 2> times{age, age};
    ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times.data(), 0), 0);
  }
  EXPECT_EQ(content("backup_label"), "LABEL: x\n");
  EXPECT_FALSE(std::filesystem::exists(state_ + "/a"));
  EXPECT_FALSE(std::filesystem::exists(state_ + "/b"));
  EXPECT_TRUE(std::filesystem::exists(state_ + "/c"));
}

TEST_F(BackupFiles, NeverLeaveTheStateDirectory) {
  for (const char* name : {"..", "../x", "a/b", ""})
    EXPECT_FALSE(write_backup_files(state_, name, {"0/9", "F", "LABEL", ""}, 20)) << name;
  EXPECT_EQ(directory_.entries(), 0U);
}

TEST_F(BackupFiles, SayWhichDirectoryCannotBeMade) {
  const std::string occupied = directory_.file("occupied");
  ASSERT_TRUE(base::write_file(occupied, "", 0600, base::Durable::kNo));
  const auto refused = write_backup_files(occupied, "window", {"0/9", "F", "LABEL", ""}, 20);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().text(),
            "unable to make directory '" + occupied + "/window': Not a directory");
}

}  // namespace
}  // namespace holdfast::postgresql
