// SPDX-License-Identifier: MIT
#include "qmp/block_graph.h"

#include <gtest/gtest.h>

namespace holdfast::host::qmp {
namespace {

using base::ErrorCode;
using base::Json;

Json image(const std::string& filename, const std::string& format) {
  return {{"filename", filename}, {"format", format}, {"virtual-size", 1000}, {"actual-size", 10}};
}

Json device(const std::string& name, const std::string& node, const Json& top,
            const std::string& qdev = "") {
  return {{"device", name},
          {"removable", false},
          {"qdev", qdev},
          {"inserted",
           {{"ro", false},
            {"node-name", node},
            {"cache", {{"direct", true}, {"no-flush", false}}},
            {"image", top}}}};
}

TEST(BlockGraph, ReadsMachinesOfBothForms) {
  const Json answer = Json::array(
      {device("virtio0", "#block293", image("a.raw", "raw")),
       device("", "fmt1", image("/b.qcow2", "qcow2"), "/machine/peripheral/vdb/virtio-backend")});
  const auto graph = parse_block_graph(answer, "/srv/vm");
  ASSERT_TRUE(graph) << graph.error().text();
  ASSERT_EQ(graph->disks.size(), 2U);
  EXPECT_EQ(graph->disks[0].name, "virtio0");
  EXPECT_EQ(graph->disks[0].node, "#block293");
  EXPECT_EQ(graph->disks[0].chain.front().path, "/srv/vm/a.raw");
  EXPECT_TRUE(graph->disks[0].cache_direct);
  EXPECT_EQ(graph->disks[1].name, "vdb");
  EXPECT_EQ(graph->disks[1].chain.front().format, "qcow2");
}

TEST(BlockGraph, ReadsTheDirtyBitmapsOfEachDisk) {
  Json entry = device("d", "n", image("/b.qcow2", "qcow2"));
  entry["inserted"]["dirty-bitmaps"] =
      Json::array({{{"name", "one"}, {"count", 65536}, {"recording", true}, {"busy", false}},
                   {{"count", 1}, {"recording", true}},
                   {{"name", "two"},
                    {"count", -1},
                    {"recording", false},
                    {"busy", true},
                    {"inconsistent", true}}});
  const auto graph = parse_block_graph(Json::array({entry}), "/");
  ASSERT_TRUE(graph) << graph.error().text();
  const std::vector<Bitmap>& bitmaps = graph->disks.front().bitmaps;
  ASSERT_EQ(bitmaps.size(), 2U);
  EXPECT_EQ(bitmaps[0].name, "one");
  EXPECT_EQ(bitmaps[0].count, 65536U);
  EXPECT_TRUE(bitmaps[0].recording);
  EXPECT_FALSE(bitmaps[0].busy);
  EXPECT_FALSE(bitmaps[0].inconsistent);
  EXPECT_EQ(bitmaps[1].count, 0U);
  EXPECT_FALSE(bitmaps[1].recording);
  EXPECT_TRUE(bitmaps[1].busy);
  EXPECT_TRUE(bitmaps[1].inconsistent);
}

TEST(BlockGraph, LeavesOutWhatIsNoDiskAndSaysSo) {
  Json cd = device("cd0", "n", image("/x.iso", "raw"));
  cd["removable"] = true;
  Json code = device("pflash0", "n", image("/code.fd", "raw"));
  code["inserted"]["ro"] = true;
  const Json empty{{"device", "floppy\x1b"}, {"removable", false}};
  const auto graph = parse_block_graph(Json::array({cd, code, empty}), "/");
  ASSERT_TRUE(graph);
  EXPECT_TRUE(graph->disks.empty());
  ASSERT_EQ(graph->skipped.size(), 3U);
  EXPECT_EQ(graph->skipped[0].reason, "removable");
  EXPECT_EQ(graph->skipped[1].reason, "read-only");
  EXPECT_EQ(graph->skipped[2].reason, "empty");
  EXPECT_EQ(graph->skipped[2].name, "floppy\\x1b");
}

TEST(BlockGraph, FollowsABackingChain) {
  Json top = image("/top.qcow2", "qcow2");
  top["backing-image"] = image("/base.raw", "raw");
  const auto graph = parse_block_graph(Json::array({device("d", "n", top)}), "/");
  ASSERT_TRUE(graph);
  ASSERT_EQ(graph->disks[0].chain.size(), 2U);
  EXPECT_EQ(graph->disks[0].chain[1].path, "/base.raw");
  EXPECT_EQ(graph->disks[0].chain[1].format, "raw");
  EXPECT_EQ(graph->disks[0].actual_size, 20U);
}

TEST(BlockGraph, FindsTheFileBehindAJsonName) {
  const std::string name =
      R"(json:{"driver": "qcow2", "lazy-refcounts": true, "file": {"driver": "file", )"
      R"("filename": "/x.qcow2"}})";
  const auto graph = parse_block_graph(Json::array({device("d", "n", image(name, "qcow2"))}), "/");
  ASSERT_TRUE(graph) << graph.error().text();
  EXPECT_EQ(graph->disks[0].chain.front().path, "/x.qcow2");
}

TEST(BlockGraph, RefusesAWritableDiskThatItCannotRead) {
  const std::string offset =
      R"(json:{"driver": "raw", "offset": 512, "file": {"driver": "file", "filename": "/x"}})";
  const std::string filter =
      R"(json:{"driver": "throttle", "file": {"driver": "file", "filename": "/x"}})";
  for (const auto& [name, format] :
       std::vector<std::pair<std::string, std::string>>{{offset, "raw"},
                                                        {filter, "raw"},
                                                        {"nbd://host/export", "raw"},
                                                        {"rbd:pool/image", "raw"},
                                                        {"json:{", "raw"},
                                                        {"/x.vmdk", "vmdk"},
                                                        {"", "raw"}}) {
    const auto graph = parse_block_graph(Json::array({device("d", "n", image(name, format))}), "/");
    ASSERT_FALSE(graph) << name;
    EXPECT_EQ(graph.error().code(), ErrorCode::kUnsupported) << name;
  }
  const auto relative = parse_block_graph(Json::array({device("d", "n", image("a", "raw"))}), "");
  ASSERT_FALSE(relative);
  EXPECT_EQ(relative.error().hint(), "start the machine with absolute paths");
}

TEST(BlockGraph, GivesEachDiskAPlainNameOfItsOwn) {
  const auto graph = parse_block_graph(
      Json::array({device("../../etc/passwd", "#b1", image("/a", "raw")),
                   device("", "#b2", image("/b", "raw"), "/machine/peripheral-anon/device[0]"),
                   device("", "node3", image("/c", "raw")),
                   device("vda", "#b4", image("/d", "raw")),
                   device("", "#b5", image("/e", "raw"), "/machine/peripheral/vda/x")}),
      "/");
  ASSERT_TRUE(graph);
  std::vector<std::string> names;
  for (const Disk& disk : graph->disks)
    names.push_back(disk.name);
  EXPECT_EQ(names, (std::vector<std::string>{"disk", "disk-1", "node3", "vda", "vda-1"}));
}

TEST(BlockGraph, BoundsTheNumberOfDevices) {
  Json answer = Json::array();
  for (int i = 0; i < 4096; ++i)
    answer.push_back(device("vda", "n", image("/a", "raw")));
  const auto graph = parse_block_graph(answer, "/");
  ASSERT_TRUE(graph) << graph.error().text();
  EXPECT_EQ(graph->disks.back().name, "vda-4095");
  answer.push_back(answer.front());
  const auto refused = parse_block_graph(answer, "/");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().text(), "query-block: more than 4096 devices");
}

TEST(BlockGraph, RefusesAFileNameThatEndsBeforeItsEnd) {
  const std::string name("/srv/a.raw\0.qcow2", 17);
  const auto graph = parse_block_graph(Json::array({device("d", "n", image(name, "raw"))}), "/");
  ASSERT_FALSE(graph);
  EXPECT_EQ(graph.error().text(),
            "unable to back up the disk 'd': '/srv/a.raw\\x00.qcow2' is no file's name");
}

TEST(BlockGraph, RefusesNonsenseInsteadOfThrowing) {
  for (const Json& answer :
       {Json(7), Json::array({7}), Json::array({{{"inserted", {{"image", 3}}}}}),
        Json::array(
            {{{"device", 1}, {"inserted", {{"node-name", "n"}, {"image", {{"a", 1}}}}}}})}) {
    EXPECT_FALSE(parse_block_graph(answer, "/")) << answer;
  }
}

}  // namespace
}  // namespace holdfast::host::qmp
