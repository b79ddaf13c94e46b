// SPDX-License-Identifier: MIT
#include "repository/index.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json_codec.h"
#include "repository/overview.h"
#include "repository/paths.h"
#include "repository/prune.h"
#include "support/temporary_directory.h"

namespace holdfast::host::repository {
namespace {

namespace fs = std::filesystem;

using base::Json;

IndexLine full_line() {
  IndexLine line;
  line.summary.id = "20261120T182114Z-00000002";
  line.summary.begin = "2026-11-20T18:21:14.000Z";
  line.summary.level = Level::kApplication;
  line.summary.parent = "20261120T182114Z-00000001";
  line.summary.is_archive = true;
  line.summary.is_protected = true;
  line.summary.group = {"pair", {"db1", "web1"}};
  line.summary.disks = 2;
  line.summary.memory_bytes = 17;
  line.summary.bytes = 525824;
  line.summary.proof = Summary::Proof{ProofResult::kProven, "2026-11-21T00:00:00Z"};
  line.stamps = {{1, 0, 2, 3}, {4, 5, 6, 7}, Stamp{8, 9, 10, -11}};
  return line;
}

TEST(IndexLine, IsReadAsItWasWritten) {
  const auto line = parse_line(format_line(full_line()));
  ASSERT_TRUE(line);
  EXPECT_EQ(format_line(*line), format_line(full_line()));
  EXPECT_EQ(line->stamps, full_line().stamps);
  EXPECT_EQ(line->summary.group.members, (std::vector<std::string>{"db1", "web1"}));
  EXPECT_EQ(line->summary.memory_bytes, 17U);
  EXPECT_EQ(line->summary.proof->result, ProofResult::kProven);
}

TEST(IndexLine, LeavesOutWhatThereIsNot) {
  IndexLine plain = full_line();
  plain.summary.parent.clear();
  plain.summary.group = {};
  plain.summary.memory_bytes.reset();
  plain.summary.proof.reset();
  plain.stamps.proof.reset();
  const auto line = parse_line(format_line(plain));
  ASSERT_TRUE(line);
  EXPECT_TRUE(line->summary.parent.empty());
  EXPECT_TRUE(line->summary.group.members.empty());
  EXPECT_FALSE(line->summary.memory_bytes);
  EXPECT_FALSE(line->summary.proof);
}

TEST(IndexLine, IsNoneWithAnythingWrongInIt) {
  const Json whole = *base::parse_json(format_line(full_line()));
  const std::vector<std::pair<std::size_t, Json>> wrong{{0, "../../etc"},
                                                        {0, 7},
                                                        {1, "1"},
                                                        {3, Json()},
                                                        {5, 18446744073709551615U},
                                                        {8, 1.5},
                                                        {9, Json()},
                                                        {10, "perfect"},
                                                        {10, 1},
                                                        {11, "20261120T182114Z-00000002"},
                                                        {11, "x"},
                                                        {11, Json()},
                                                        {12, "yes"},
                                                        {13, Json()},
                                                        {14, -1},
                                                        {15, 18446744073709551615U},
                                                        {16, Json::array()},
                                                        {17, Json::object()}};
  for (const auto& [place, value] : wrong) {
    Json json = whole;
    json[place] = value;
    EXPECT_FALSE(parse_line(json.dump())) << place << " " << value.dump();
  }
  const std::vector<std::pair<const char*, Json>> wrong_more{
      {"memory", -1},
      {"memory", Json()},
      {"group", {{"name", "../x"}, {"members", {"a"}}}},
      {"proof", "certain"},
      {"proof_at", Json()},
      {"proof_stamp", Json::array()},
      {"proof_stamp", Json::array({1, 2, 3, "4"})}};
  for (const auto& [key, value] : wrong_more) {
    Json json = whole;
    json.back()[key] = value;
    EXPECT_FALSE(parse_line(json.dump())) << key << " " << value.dump();
  }
  EXPECT_FALSE(parse_line(""));
  EXPECT_FALSE(parse_line("[]"));
  EXPECT_FALSE(parse_line("{}"));
  const std::string text = format_line(full_line());
  for (std::size_t length = 0; length < text.size(); ++length)
    EXPECT_FALSE(parse_line(text.substr(0, length)));
}

// A machine with as many backups as are worth an index.
class IndexTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto made = Repository::open_or_create(path_);
    ASSERT_TRUE(made) << made.error().text();
    repository_.emplace(std::move(*made));
    vm_ = repository_->make_vm_directory("web1").value();
    for (std::size_t i = 0; i < kIndexedFrom; ++i)
      publish(i, i % 2 == 1);
  }

  static std::string id(std::size_t number) {
    std::array<char, 40> text{};
    std::snprintf(text.data(), text.size(), "20261120T182114Z-%08zx", number);
    return text.data();
  }

  static std::string manifest(std::size_t number, bool increment, const char* level = "crash") {
    return base::to_document(
        {{"schema", 1},
         {"id", id(number)},
         {"vm", "web1"},
         {"begin", "2026-11-20T18:21:14.000Z"},
         {"level", level},
         {"disks", Json::array({{{"name", "vda"},
                                 {"file", "vda.qcow2"},
                                 {"file_format", "qcow2"},
                                 {"virtual_size", 10},
                                 {"bytes", 4},
                                 {"backing", increment ? Json{{"id", id(number - 1)}} : Json()},
                                 {"sha256", std::string(64, 'a')}}})}});
  }

  // Nothing of it has to outlive a power cut.
  void publish(std::size_t number, bool increment) {
    fs::create_directory(vm_ + "/" + id(number));
    ASSERT_TRUE(base::write_file(file(number, kManifestName), manifest(number, increment), 0600,
                                 base::Durable::kNo));
  }

  [[nodiscard]] std::string file(std::size_t number, std::string_view name) const {
    return vm_ + "/" + id(number) + "/" + std::string(name);
  }
  [[nodiscard]] std::string index() const { return vm_ + "/" + std::string(kIndexName); }

  // As if the index had been written that much later than now.
  void write_time(int seconds) const {
    const timespec time{::time(nullptr) + seconds, 0};
    const std::array<timespec, 2> both{time, time};
    ASSERT_EQ(::utimensat(AT_FDCWD, index().c_str(), both.data(), 0), 0);
  }
  // All that it tells of was old by then.
  void let_settle() const { write_time(60); }

  [[nodiscard]] Overview look(Source source = Source::kIndex) const {
    auto found = overview(*repository_, "web1", source);
    EXPECT_TRUE(found) << found.error().text();
    return std::move(*found);
  }

  // With an index that counts.
  void look_twice() const {
    (void)look();
    let_settle();
    ASSERT_TRUE(look().is_remembered);
  }

  static std::string shown(const Overview& overview) {
    std::string text;
    for (const Summary& one : overview.backups)
      text += format_line({one, {{}, {}, Stamp{}}}) + one.vm + one.directory + "\n";
    for (const BadBackup& bad : overview.bad)
      text += bad.id + ": " + bad.problem.text() + "\n";
    return text;
  }
  void expect_truth() const { EXPECT_EQ(shown(look()), shown(look(Source::kManifests))); }

  support::TemporaryDirectory directory_;
  std::string path_ = directory_.file("repository");
  std::optional<Repository> repository_;
  std::string vm_;
};

TEST_F(IndexTest, IsWrittenWhereItIsWorthIt) {
  EXPECT_FALSE(look().is_remembered);
  struct stat status {};
  ASSERT_EQ(::stat(index().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0600U);
  fs::remove(index());
  fs::remove_all(vm_ + "/" + id(0));
  (void)look();
  EXPECT_FALSE(fs::exists(index()));
}

TEST_F(IndexTest, CountsOnceWhatItTellsOfIsOlderThanTheLook) {
  (void)look();
  write_time(-3600);
  EXPECT_FALSE(look().is_remembered);
  write_time(-3600);
  expect_truth();
  let_settle();
  EXPECT_TRUE(look().is_remembered);
  expect_truth();
}

TEST_F(IndexTest, IsLeftAloneByWhoReadsTheManifests) {
  EXPECT_FALSE(look(Source::kManifests).is_remembered);
  EXPECT_FALSE(fs::exists(index()));
  look_twice();
  EXPECT_FALSE(look(Source::kManifests).is_remembered);
}

TEST_F(IndexTest, SeesAManifestThatWasReplaced) {
  look_twice();
  ASSERT_TRUE(base::write_file(file(3, kManifestName), manifest(3, true, "application"), 0600,
                               base::Durable::kNo));
  EXPECT_EQ(look().backups[3].level, Level::kApplication);
  expect_truth();
}

TEST_F(IndexTest, SeesAManifestThatWasWrittenOver) {
  look_twice();
  std::ofstream(file(3, kManifestName)) << manifest(3, true, "crash") << " ";
  std::ofstream(file(4, kManifestName)) << "{}";
  EXPECT_EQ(look().bad.size(), 1U);
  expect_truth();
}

TEST_F(IndexTest, SeesWhatComesAndGoesBesideAManifest) {
  look_twice();
  std::ofstream(file(1, kProtectedName)).flush();
  ASSERT_TRUE(write_proof(vm_ + "/" + id(2),
                          {ProofResult::kBooted, "2026-11-21T00:00:00Z", Json::object()}));
  std::ofstream(file(3, kUnboundName)).flush();
  fs::remove_all(vm_ + "/" + id(5));
  publish(kIndexedFrom, false);
  const Overview found = look();
  EXPECT_TRUE(found.is_remembered);
  EXPECT_TRUE(found.backups[1].is_protected);
  EXPECT_EQ(found.backups[2].proof->result, ProofResult::kBooted);
  EXPECT_EQ(found.backups[3].id, id(4));
  EXPECT_EQ(found.backups[4].id, id(6));
  EXPECT_EQ(found.backups.back().id, id(kIndexedFrom));
}

TEST_F(IndexTest, SeesAProofThatWasWrittenOver) {
  ASSERT_TRUE(write_proof(vm_ + "/" + id(2),
                          {ProofResult::kBooted, "2026-11-21T00:00:00Z", Json::object()}));
  look_twice();
  ASSERT_EQ(look().backups[2].proof->result, ProofResult::kBooted);
  std::ofstream(file(2, kProofName)) << R"({"schema": 1, "result": "failed", "at": "x"})";
  EXPECT_EQ(look().backups[2].proof->result, ProofResult::kFailed);
  std::ofstream(file(2, kProofName)) << "nonsense";
  EXPECT_TRUE(look().backups[2].proof_is_unusable);
  expect_truth();
}

TEST_F(IndexTest, IsNoMoreThanAShortcutWhateverStandsInIt) {
  look_twice();
  const std::string whole = *base::read_file(index(), std::size_t{1} << 20U);
  const std::string truth = shown(look(Source::kManifests));
  const auto with = [&](const std::string& text) {
    fs::remove_all(index());
    std::ofstream(index()) << text;
    let_settle();
    return shown(look());
  };
  for (std::size_t length = 0; length < whole.size(); length += 97)
    EXPECT_EQ(with(whole.substr(0, length)), truth);
  EXPECT_EQ(with("nonsense\n" + whole), truth);
  EXPECT_EQ(with(R"({"schema":3,"took_ms":1})" + whole.substr(whole.find('\n'))), truth);
  EXPECT_EQ(with(R"({"schema":2,"took_ms":-1})" + whole.substr(whole.find('\n'))), truth);
  EXPECT_EQ(with(whole + whole), truth);
  EXPECT_EQ(with(std::string(std::size_t{17} << 20U, ' ')), truth);
  EXPECT_EQ(with(whole.substr(0, 1000) + std::string(100000, '[') + whole.substr(1000)), truth);
}

TEST_F(IndexTest, IsNotFollowedNorNeeded) {
  look_twice();
  fs::rename(index(), directory_.file("elsewhere"));
  fs::create_symlink(directory_.file("elsewhere"), index());
  EXPECT_FALSE(look().is_remembered);
  fs::remove(index());
  // As in a repository that cannot be written: nothing can be renamed to this.
  fs::create_directories(index() + "/x");
  EXPECT_EQ(look().backups.size(), kIndexedFrom);
  expect_truth();
  for (const auto& entry : fs::directory_iterator(vm_))
    EXPECT_FALSE(entry.path().filename().string().starts_with(".index.")) << entry.path();
}

TEST_F(IndexTest, RemovesNothing) {
  look_twice();
  // It says that the last one stands on nothing, and that another is older than all.
  std::string text = *base::read_file(index(), std::size_t{1} << 20U);
  const std::string parent = ",\"" + id(kIndexedFrom - 2) + "\",";
  ASSERT_NE(text.find(parent), std::string::npos);
  text.replace(text.find(parent), parent.size(), ",\"\",");
  std::ofstream(index()) << text;
  let_settle();
  const auto planned = prune(*repository_, "web1", {.last = 1}, Removal::kNone, {});
  ASSERT_TRUE(planned);
  EXPECT_FALSE(planned->backups[kIndexedFrom - 2].decision.keep());  // the lie is believed, to show
  const auto pruned = prune(*repository_, "web1", {.last = 1}, Removal::kReal, {});
  ASSERT_TRUE(pruned);
  EXPECT_TRUE(fs::exists(file(kIndexedFrom - 2, kManifestName)));
  EXPECT_TRUE(fs::exists(file(kIndexedFrom - 1, kManifestName)));
  EXPECT_FALSE(fs::exists(file(kIndexedFrom - 3, kManifestName)));
}

TEST_F(IndexTest, LosesTheFilesOfWhoWasKilledWhileWritingIt) {
  std::ofstream(index() + ".a1B2c3").flush();
  const auto removed = repository_->remove_incomplete("web1");
  ASSERT_TRUE(removed);
  EXPECT_TRUE(removed->empty());
  EXPECT_FALSE(fs::exists(index() + ".a1B2c3"));
}

}  // namespace
}  // namespace holdfast::host::repository
