// SPDX-License-Identifier: MIT
#include "snapshot/btrfs/sent_record.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"
#include "support/temporary_directory.h"

namespace holdfast::host::snapshot {
namespace {

SentRecord two() {
  SentRecord record;
  record.replace({"/a", "/a/.holdfast-1", "/r/.holdfast-1"});
  record.replace({"/b", "/b/.holdfast-2", "/r/.holdfast-2"});
  return record;
}

TEST(SentRecord, KeepsTheLatestOfEachSource) {
  SentRecord record = two();
  EXPECT_TRUE(record.superseded.empty());
  record.replace({"/a", "/a/.holdfast-3", "/r/.holdfast-3"});
  ASSERT_NE(record.find_source("/a"), nullptr);
  EXPECT_EQ(record.find_source("/a")->snapshot, "/a/.holdfast-3");
  EXPECT_EQ(record.find_source("/c"), nullptr);
  EXPECT_TRUE(record.keeps("/a/.holdfast-3"));
  EXPECT_TRUE(record.keeps("/r/.holdfast-2"));
  EXPECT_FALSE(record.keeps("/a/.holdfast-1"));
  EXPECT_EQ(record.superseded, (std::vector<std::string>{"/a/.holdfast-1", "/r/.holdfast-1"}));
}

TEST(SentRecord, IsReadAsItWasWritten) {
  SentRecord record = two();
  record.replace({"/a", "/a/.holdfast-3", "/r/.holdfast-3"});
  const auto read = parse_sent_record(to_document(record));
  ASSERT_TRUE(read);
  EXPECT_EQ(to_document(*read), to_document(record));
}

TEST(SentRecord, RefusesWhatIsNone) {
  for (const char* const text :
       {"", "[]", "{}", R"({"schema":2,"latest":[],"superseded":[]})",
        R"({"schema":1,"latest":[{"source":"/a","snapshot":"b","received":"/c"}],"superseded":[]})",
        R"({"schema":1,"latest":[{"source":"/a"}],"superseded":[]})",
        R"({"schema":1,"latest":[],"superseded":["../x"]})",
        R"({"schema":1,"latest":[],"superseded":[7]})", R"({"schema":1,"latest":[]})"}) {
    EXPECT_FALSE(parse_sent_record(text)) << text;
  }
}

TEST(SentFile, IsThereAsLongAsSomethingStandsInIt) {
  const support::TemporaryDirectory directory;
  const std::string path = directory.file("web1.sent");
  const SentFile file(path);
  ASSERT_TRUE(file.load());
  EXPECT_TRUE(file.load()->empty());
  ASSERT_TRUE(file.save(two()));
  ASSERT_TRUE(file.load());
  EXPECT_EQ(file.load()->latest.size(), 2U);
  ASSERT_TRUE(file.save({}));
  EXPECT_FALSE(std::filesystem::exists(path));
  ASSERT_TRUE(base::write_file(path, "{", 0600, base::Durable::kNo));
  const auto broken = file.load();
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().code(), base::ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace holdfast::host::snapshot
