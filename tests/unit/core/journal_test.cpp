// SPDX-License-Identifier: MIT
#include "core/journal.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "support/temporary_directory.h"

namespace holdfast::core {
namespace {

class JournalTest : public ::testing::Test {
 protected:
  [[nodiscard]] std::string state(const std::string& name) const {
    return directory_.file("state/" + name);
  }
  [[nodiscard]] std::string run(const std::string& name) const {
    return directory_.file("run/" + name);
  }
  [[nodiscard]] Journal journal(std::size_t kept = 20) const {
    Journal journal(directory_.file("state"), directory_.file("run"), kept);
    EXPECT_TRUE(journal.open());
    return journal;
  }
  [[nodiscard]] static base::Json record(const Journal& journal, const std::string& window) {
    return {{"window", window}, {"boot", journal.boot()}, {"state", "held"}};
  }
  [[nodiscard]] static base::Json read(const std::string& path) {
    const auto text = base::read_file(path, 100'000);
    if (!text) return nullptr;
    auto json = base::parse_json(*text);
    return json ? *json : base::Json("not JSON");
  }
  [[nodiscard]] static base::Deadline soon() {
    return base::Deadline::in(std::chrono::seconds(10));
  }
  [[nodiscard]] static bool exists(const std::string& path) {
    return std::filesystem::exists(path);
  }

  // Beside the directory of the records.
  [[nodiscard]] std::size_t files_in_state() const {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(state("")))
      count += entry.is_regular_file() ? 1U : 0U;
    return count;
  }

  support::TemporaryDirectory directory_;
};

TEST_F(JournalTest, WritesTheHeldRecordEverywhereForEverybodyToRead) {
  Journal journal = this->journal();
  ASSERT_TRUE(journal.write_held(record(journal, "w1"), soon()));
  for (const std::string& path : {state("freeze.json"), run("last.json"), run("window.json")}) {
    EXPECT_EQ(read(path)["window"], "w1") << path;
    struct stat status {};
    ASSERT_EQ(::stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0644U) << path;
  }
  struct stat status {};
  ASSERT_EQ(::stat(directory_.file("state/records").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0755U);
}

TEST_F(JournalTest, PutsTheHeldRecordIntoTheRoomMadeForIt) {
  Journal journal = this->journal();
  ASSERT_TRUE(journal.make_room(soon()));
  ASSERT_EQ(files_in_state(), 1U);
  struct stat before {};
  for (const auto& entry : std::filesystem::directory_iterator(state(""))) {
    if (!entry.is_regular_file()) continue;
    ASSERT_EQ(::stat(entry.path().c_str(), &before), 0);
  }
  ASSERT_TRUE(journal.write_held(record(journal, "w1"), soon()));
  struct stat after {};
  ASSERT_EQ(::stat(state("freeze.json").c_str(), &after), 0);
  EXPECT_EQ(after.st_ino, before.st_ino);
  EXPECT_EQ(after.st_mode & 0777U, 0644U);
  EXPECT_EQ(read(state("freeze.json"))["window"], "w1");
  EXPECT_EQ(files_in_state(), 1U);
}

TEST_F(JournalTest, WritesARecordThatTheRoomIsTooSmallFor) {
  Journal journal = this->journal();
  ASSERT_TRUE(journal.make_room(soon()));
  base::Json large = record(journal, "w1");
  large["files"] = std::string(50'000, 'x');
  ASSERT_TRUE(journal.write_held(large, soon()));
  EXPECT_EQ(read(state("freeze.json")), large);
  EXPECT_EQ(files_in_state(), 1U);
}

TEST_F(JournalTest, LeavesNoRoomBehind) {
  {
    Journal journal = this->journal();
    ASSERT_TRUE(journal.make_room(soon()));
    journal.give_room_back();
    EXPECT_EQ(files_in_state(), 0U);
    ASSERT_TRUE(journal.write_held(record(journal, "w1"), soon()));
    ASSERT_TRUE(journal.make_room(soon()));
    EXPECT_EQ(files_in_state(), 2U);
  }
  // As after a kill: the next one finds it.
  Journal next = journal();
  EXPECT_EQ(files_in_state(), 1U);
  EXPECT_EQ(read(state("freeze.json"))["window"], "w1");
}

TEST_F(JournalTest, TakesTheMarkerAwayWithTheVerdict) {
  Journal journal = this->journal();
  base::Json done = record(journal, "w1");
  ASSERT_TRUE(journal.write_held(done, soon()));
  done["state"] = "done";
  ASSERT_TRUE(journal.write_last(done));
  EXPECT_FALSE(exists(run("window.json")));
  EXPECT_EQ(read(run("last.json"))["state"], "done");
  EXPECT_EQ(read(state("freeze.json"))["state"], "held");
  ASSERT_TRUE(journal.write_done(done));
  EXPECT_EQ(read(state("freeze.json"))["state"], "done");
  EXPECT_EQ(read(state("records/w1.json"))["state"], "done");
}

TEST_F(JournalTest, FindsTheWindowThatAnEarlierDaemonLeftOpen) {
  {
    Journal journal = this->journal();
    EXPECT_FALSE(journal.left_open());
    ASSERT_TRUE(journal.write_held(record(journal, "w1"), soon()));
  }
  Journal next = journal();
  ASSERT_TRUE(next.left_open());
  EXPECT_EQ((*next.left_open())["window"], "w1");
  next.forget_left_open();
  EXPECT_FALSE(journal().left_open());
}

TEST_F(JournalTest, TakesAMarkerThatCannotBeReadForAMarker) {
  (void)journal();
  std::ofstream(run("window.json")) << "{ half";
  EXPECT_TRUE(journal().left_open());
}

TEST_F(JournalTest, ForgetsAMarkerFromBeforeTheReboot) {
  (void)journal();
  std::ofstream(run("window.json")) << R"({"window":"w0","boot":"another"})";
  EXPECT_FALSE(journal().left_open());
  EXPECT_FALSE(exists(run("window.json")));
}

TEST_F(JournalTest, CountsWindowsSinceBootAcrossDaemons) {
  {
    Journal journal = this->journal();
    EXPECT_EQ(journal.next_sequence(), 1U);
    EXPECT_EQ(journal.next_sequence(), 2U);
  }
  EXPECT_EQ(journal().next_sequence(), 3U);
}

TEST_F(JournalTest, KeepsOnlySoManyRecordsTheNewestOnes) {
  Journal journal = this->journal(2);
  for (int i = 1; i <= 4; ++i) {
    const std::string name = "w" + std::to_string(i);
    ASSERT_TRUE(journal.write_done(record(journal, name)));
    // The order is that of modification, which a fast test has to make visible.
    std::filesystem::last_write_time(
        state("records/" + name + ".json"),
        std::filesystem::file_time_type::clock::now() + std::chrono::seconds(i - 10));
  }
  ASSERT_TRUE(journal.write_done(record(journal, "w5")));
  const auto recent = journal.recent(10);
  ASSERT_EQ(recent.size(), 2U);
  EXPECT_EQ(recent[0]["window"], "w5");
  EXPECT_EQ(recent[1]["window"], "w4");
  EXPECT_EQ(journal.recent(1).size(), 1U);
}

TEST_F(JournalTest, LeavesOutARecordThatCannotBeRead) {
  Journal journal = this->journal();
  ASSERT_TRUE(journal.write_done(record(journal, "w1")));
  std::ofstream(state("records/broken.json")) << "no";
  ASSERT_EQ(journal.recent(10).size(), 1U);
}

TEST_F(JournalTest, SaysWhereItCouldNotWrite) {
  Journal journal = this->journal();
  std::filesystem::remove_all(directory_.file("state"));
  const auto written = journal.write_held(record(journal, "w1"), soon());
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().text(), "unable to create a file beside '" + state("freeze.json") +
                                        "': No such file or directory");
  EXPECT_FALSE(exists(run("window.json")));
}

}  // namespace
}  // namespace holdfast::core
