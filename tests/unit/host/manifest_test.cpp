// SPDX-License-Identifier: MIT
#include "repository/manifest.h"

#include <gtest/gtest.h>

#include "repository/paths.h"

namespace holdfast::host::repository {
namespace {

using base::ErrorCode;
using base::Json;

Json good() {
  return {{"schema", 1},
          {"id", "20261120T182114Z-1f3a9c0b"},
          {"vm", "web1"},
          {"begin", "2026-11-20T18:21:14.000Z"},
          {"level", "application"},
          {"disks", Json::array({{{"name", "vda"},
                                  {"file", "vda.qcow2"},
                                  {"file_format", "qcow2"},
                                  {"virtual_size", 10},
                                  {"bytes", 20},
                                  {"sha256", std::string(64, 'a')}}})}};
}

TEST(Manifest, ReadsWhatARunWrites) {
  const auto manifest = parse_manifest(base::to_document(good()));
  ASSERT_TRUE(manifest) << manifest.error().text();
  EXPECT_EQ(manifest->vm, "web1");
  EXPECT_EQ(manifest->level, Level::kApplication);
  ASSERT_EQ(manifest->disks.size(), 1U);
  EXPECT_EQ(manifest->disks[0].bytes, 20U);
}

TEST(Manifest, RefusesEveryMemberThatIsMissingOrWrong) {
  for (const char* key : {"schema", "id", "vm", "begin", "level", "disks"}) {
    Json missing = good();
    missing.erase(key);
    EXPECT_FALSE(parse_manifest(base::to_line(missing))) << key;
    Json wrong = good();
    wrong[key] = Json::object();
    EXPECT_FALSE(parse_manifest(base::to_line(wrong))) << key;
  }
  for (const char* key : {"name", "file", "file_format", "virtual_size", "bytes", "sha256"}) {
    Json missing = good();
    missing["disks"][0].erase(key);
    EXPECT_FALSE(parse_manifest(base::to_line(missing))) << key;
    Json wrong = good();
    wrong["disks"][0][key] = Json::array();
    EXPECT_FALSE(parse_manifest(base::to_line(wrong))) << key;
  }
}

TEST(Manifest, RefusesNamesThatLeadElsewhere) {
  const auto refuses = [](const std::string& key, const Json& value) {
    Json json = good();
    json["disks"][0][key] = value;
    const auto manifest = parse_manifest(base::to_line(json));
    return !manifest && manifest.error().code() == ErrorCode::kCorrupt;
  };
  EXPECT_TRUE(refuses("file", "../../../etc/passwd"));
  EXPECT_TRUE(refuses("file", "/etc/passwd"));
  EXPECT_TRUE(refuses("file", "other.qcow2"));
  EXPECT_TRUE(refuses("file_format", "raw"));
  EXPECT_TRUE(refuses("name", ".."));
  EXPECT_TRUE(refuses("name", "a/b"));
  EXPECT_TRUE(refuses("name", ""));
  EXPECT_TRUE(refuses("bytes", -1));
  EXPECT_TRUE(refuses("sha256", "abc"));
  Json json = good();
  json["vm"] = "../x";
  EXPECT_FALSE(parse_manifest(base::to_line(json)));
  json = good();
  json["id"] = "latest";
  EXPECT_FALSE(parse_manifest(base::to_line(json)));
}

Json with_file(const std::string& key, const Json& value) {
  Json json = good();
  json["definition"] = {{"files", Json::array({{{"file", "definition.json"},
                                                {"what", "definition"},
                                                {"bytes", 7},
                                                {"sha256", std::string(64, 'b')}}})}};
  if (!key.empty()) json["definition"]["files"][0][key] = value;
  return json;
}

TEST(Manifest, ReadsTheFilesOfADefinition) {
  const auto manifest = parse_manifest(base::to_line(with_file("", {})));
  ASSERT_TRUE(manifest) << manifest.error().text();
  ASSERT_EQ(manifest->files.size(), 1U);
  EXPECT_EQ(manifest->files[0].file, "definition.json");
  EXPECT_EQ(manifest->stored_bytes(), 27U);
  Json none = good();
  none["definition"] = nullptr;
  const auto without = parse_manifest(base::to_line(none));
  ASSERT_TRUE(without);
  EXPECT_TRUE(without->files.empty());
}

TEST(Manifest, RefusesFilesThatLeadElsewhereOrTakeAnothersName) {
  for (const char* name : {"", "..", "../a", "/etc/passwd", ".lock", "a/b", "manifest.json",
                           "protected", "vda.qcow2", "a\nb"}) {
    EXPECT_FALSE(parse_manifest(base::to_line(with_file("file", name)))) << name;
  }
  EXPECT_FALSE(parse_manifest(base::to_line(with_file("bytes", -1))));
  EXPECT_FALSE(parse_manifest(base::to_line(with_file("bytes", kLargestFile + 1))));
  EXPECT_FALSE(parse_manifest(base::to_line(with_file("sha256", "b"))));
  Json twice = with_file("", {});
  twice["definition"]["files"].push_back(twice["definition"]["files"][0]);
  EXPECT_FALSE(parse_manifest(base::to_line(twice)));
  Json wrong = good();
  wrong["definition"] = {{"files", "definition.json"}};
  EXPECT_FALSE(parse_manifest(base::to_line(wrong)));
}

TEST(Manifest, KnowsTheMemoryOfACheckpoint) {
  EXPECT_FALSE(parse_manifest(base::to_line(good()))->memory);
  Json json = good();
  json["memory"] = {{"file", "memory.state.zst"},
                    {"compression", "zstd"},
                    {"bytes", 30},
                    {"sha256", std::string(64, 'b')},
                    {"qemu", "7.2.22"},
                    {"machine", "pc-i440fx-7.2-machine"}};
  const auto manifest = parse_manifest(base::to_line(json));
  ASSERT_TRUE(manifest) << manifest.error().text();
  ASSERT_TRUE(manifest->memory);
  EXPECT_TRUE(manifest->memory->compressed);
  EXPECT_EQ(manifest->memory->file.bytes, 30U);
  EXPECT_EQ(manifest->stored_bytes(), 50U);
  json["memory"]["compression"] = "none";
  EXPECT_FALSE(parse_manifest(base::to_line(json)));
  json["memory"]["file"] = "memory.state";
  EXPECT_TRUE(parse_manifest(base::to_line(json)));
  for (const char* key : {"file", "compression", "bytes", "sha256", "qemu"}) {
    Json wrong = json;
    wrong["memory"][key] = "../vda.qcow2";
    EXPECT_EQ(parse_manifest(base::to_line(wrong)).has_value(), std::string(key) == "qemu") << key;
  }
  json["memory"] = "memory.state";
  EXPECT_FALSE(parse_manifest(base::to_line(json)));
}

TEST(Manifest, KnowsADiskThatIsFlash) {
  Json json = good();
  json["disks"][0]["pflash"] = 1;
  const auto manifest = parse_manifest(base::to_line(json));
  ASSERT_TRUE(manifest);
  EXPECT_EQ(manifest->disks[0].pflash, 1);
  for (const Json& value : {Json(-1), Json(10), Json("1"), Json::object()}) {
    json["disks"][0]["pflash"] = value;
    EXPECT_FALSE(parse_manifest(base::to_line(json))) << value;
  }
}

TEST(Manifest, KnowsTheBackupBelowAnIncrement) {
  Json json = good();
  EXPECT_EQ(parse_manifest(base::to_line(json))->parent(), "");
  json["disks"][0]["backing"] = nullptr;
  EXPECT_EQ(parse_manifest(base::to_line(json))->parent(), "");
  json["disks"][0]["backing"] = {{"id", "20261119T182114Z-00000001"}};
  const auto manifest = parse_manifest(base::to_line(json));
  ASSERT_TRUE(manifest) << manifest.error().text();
  EXPECT_EQ(manifest->parent(), "20261119T182114Z-00000001");
  EXPECT_EQ(backing_reference(manifest->parent(), manifest->disks[0].file),
            "../20261119T182114Z-00000001/vda.qcow2");
}

TEST(Manifest, RefusesAChainThatLeadsElsewhereOrClosesOrForks) {
  const auto refuses = [](const Json& backing) {
    Json json = good();
    json["disks"][0]["backing"] = backing;
    const auto manifest = parse_manifest(base::to_line(json));
    return !manifest && manifest.error().code() == ErrorCode::kCorrupt;
  };
  EXPECT_TRUE(refuses("20261119T182114Z-00000001"));
  EXPECT_TRUE(refuses(Json::object()));
  EXPECT_TRUE(refuses({{"id", "../../etc"}}));
  EXPECT_TRUE(refuses({{"id", good().at("id")}}));
  EXPECT_TRUE(refuses({{"id", "20271119T182114Z-00000001"}}));
  Json json = good();
  json["disks"][0]["backing"] = {{"id", "20261119T182114Z-00000001"}};
  Json other = json["disks"][0];
  other["name"] = "vdb";
  other["file"] = "vdb.qcow2";
  json["disks"].push_back(other);
  EXPECT_TRUE(parse_manifest(base::to_line(json)));
  json["disks"][1]["backing"]["id"] = "20261118T182114Z-00000001";
  EXPECT_FALSE(parse_manifest(base::to_line(json)));
}

TEST(Manifest, RefusesADiskThatStandsTwiceAndABackupWithoutDisks) {
  Json json = good();
  json["disks"].push_back(json["disks"][0]);
  const auto twice = parse_manifest(base::to_line(json));
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().text(), "unable to use the manifest: disk 'vda' stands twice");
  json["disks"] = Json::array();
  EXPECT_FALSE(parse_manifest(base::to_line(json)));
}

TEST(Manifest, SaysThatALaterSchemaIsNotForIt) {
  Json json = good();
  json["schema"] = 2;
  const auto manifest = parse_manifest(base::to_line(json));
  ASSERT_FALSE(manifest);
  EXPECT_EQ(manifest.error().code(), ErrorCode::kUnsupported);
  EXPECT_EQ(manifest.error().text(),
            "unable to use the manifest: its schema is 2, this program knows 1");
}

TEST(BackupId, IsMadeAndRecognised) {
  const auto id = make_backup_id(base::WallTime(std::chrono::seconds(1795198874)));
  ASSERT_TRUE(id);
  EXPECT_TRUE(id->starts_with("20261120T182114Z-")) << *id;
  EXPECT_TRUE(is_backup_id(*id));
  for (const char* wrong :
       {"", "latest", "20261120T182114Z", "20261120T182114Z-1f3a9c0", "20261120T182114Z-1f3a9c0bx",
        "20261120T182114Z-1F3A9C0B", ".incomplete-20261120T182114Z-1f3a9c0b",
        "20261120T182114Z-1f3a9c0b.failed"}) {
    EXPECT_FALSE(is_backup_id(wrong)) << wrong;
  }
}

TEST(BackupId, SortsByTimeWithinASecond) {
  const base::WallTime second(std::chrono::seconds(1795198874));
  std::string last;
  for (int millis = 0; millis < 1000; millis += 37) {
    const auto id = make_backup_id(second + std::chrono::milliseconds(millis));
    ASSERT_TRUE(id);
    EXPECT_TRUE(is_backup_id(*id)) << *id;
    EXPECT_LT(last, *id);
    last = *id;
  }
  EXPECT_TRUE(make_backup_id(second + std::chrono::microseconds(999999))->find("Z-ffff") !=
              std::string::npos);
}

TEST(Level, HasNamesInOrder) {
  EXPECT_LT(*level_named("crash"), *level_named("filesystem"));
  EXPECT_LT(*level_named("filesystem"), *level_named("application"));
  EXPECT_EQ(level_named("APPLICATION"), std::nullopt);
}

}  // namespace
}  // namespace holdfast::host::repository
