// SPDX-License-Identifier: MIT
#include "definition/tpm_state.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "support/temporary_directory.h"

namespace holdfast::host::definition {
namespace {

using base::ErrorCode;

constexpr const char* kState = "tpm2-00.permall";

class TpmState : public ::testing::Test {
 protected:
  void write(const std::string& name, const std::string& content) {
    std::ofstream(directory_.path() + "/" + name) << content;
  }
  TpmPlace place() { return tpm_at(directory_.path()); }

  support::TemporaryDirectory directory_;
};

TEST_F(TpmState, TakesWhatSwtpmWritesAndNothingElse) {
  write(kState, "permanent");
  write("tpm2-00.volatilestate", "volatile");
  write(".lock", "");
  write("notes", "mine");
  const auto files = read_tpm_state(place());
  ASSERT_TRUE(files) << files.error().text();
  ASSERT_EQ(files->size(), 2U);
  EXPECT_EQ((*files)[0].name, kState);
  EXPECT_EQ((*files)[0].content, "permanent");
  EXPECT_EQ((*files)[1].content, "volatile");
}

TEST_F(TpmState, ReadsAgainWhatChangesMeanwhile) {
  write(kState, "old");
  int readings = 0;
  const auto files = read_tpm_state(place(), [&] {
    if (++readings > 1) return;
    // As swtpm does it: another file takes the name.
    write("new", "new");
    std::filesystem::rename(directory_.path() + "/new", directory_.path() + "/" + kState);
  });
  ASSERT_TRUE(files);
  EXPECT_EQ(readings, 2);
  EXPECT_EQ((*files)[0].content, "new");
}

TEST_F(TpmState, ReadsAgainWhenAnotherFileAppears) {
  write(kState, "permanent");
  bool first = true;
  const auto files = read_tpm_state(place(), [&] {
    if (std::exchange(first, false)) write("tpm2-00.volatilestate", "volatile");
  });
  ASSERT_TRUE(files);
  EXPECT_EQ(files->size(), 2U);
}

TEST_F(TpmState, GivesUpOnWhatNeverRests) {
  write(kState, "x");
  std::size_t readings = 0;
  const auto files =
      read_tpm_state(place(), [&] { write(kState, std::string(++readings + 1, 'x')); });
  ASSERT_FALSE(files);
  EXPECT_EQ(files.error().code(), ErrorCode::kBusy);
  EXPECT_LT(readings, 100);
}

TEST_F(TpmState, FollowsNoLink) {
  write("elsewhere", "secret");
  std::filesystem::create_symlink("elsewhere", directory_.path() + "/" + kState);
  EXPECT_FALSE(read_tpm_state(place()));
}

TEST_F(TpmState, SaysWhatToDoWhereThereIsNone) {
  const auto files = read_tpm_state(place());
  ASSERT_FALSE(files);
  EXPECT_EQ(files.error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(files.error().hint(), "set tpm-state to the directory");
}

TEST(SwtpmCommandLine, NamesADirectoryOrOneFile) {
  const auto dir = place_in({"swtpm", "socket", "--tpmstate", "dir=/a/b,,c,mode=0600"}, 0);
  ASSERT_TRUE(dir);
  EXPECT_EQ(dir->directory, "/a/b,c");
  EXPECT_EQ(dir->engine, "swtpm");
  EXPECT_FALSE(dir->encrypted);
  const auto uri = place_in({"swtpm", "socket", "--tpmstate", "backend-uri=dir:///a/b"}, 0);
  ASSERT_TRUE(uri);
  EXPECT_EQ(uri->directory, "/a/b");
  const auto file = place_in(
      {"swtpm", "socket", "--key", "file=/k", "--tpmstate", "backend-uri=file:///a/b/state"}, 0);
  ASSERT_TRUE(file);
  EXPECT_EQ(file->directory + "|" + file->file, "/a/b/|state");
  EXPECT_TRUE(file->encrypted);
}

TEST(SwtpmCommandLine, IsRefusedWhenItLeadsNowhere) {
  EXPECT_FALSE(place_in({"swtpm", "socket"}, 0));
  EXPECT_FALSE(place_in({"swtpm", "socket", "--tpmstate", "backend-uri=nbd://h"}, 0));
  EXPECT_FALSE(place_in({"swtpm", "socket", "--tpmstate", "dir=relative"}, 0));
  EXPECT_FALSE(place_in({"swtpm", "socket", "--tpmstate", "mode=0600"}, 0));
}

TEST(LibvirtTpm, NeverMakesAPathOfANameThatIsNone) {
  EXPECT_FALSE(find_libvirt_tpm(false, "../../etc"));
}

}  // namespace
}  // namespace holdfast::host::definition
