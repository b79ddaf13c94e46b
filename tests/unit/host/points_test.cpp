// SPDX-License-Identifier: MIT
#include "point/points.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "base/file.h"
#include "image/image_info.h"
#include "point/kept_chain.h"
#include "point/store.h"
#include "point/tree.h"
#include "snapshot/btrfs/subvolume.h"
#include "support/temporary_directory.h"

namespace holdfast::host::point {
namespace {

using base::ErrorCode;
using support::TemporaryDirectory;

const std::string kFirst = "20261122T031020Z-1f3a9c00";
const std::string kSecond = "20261122T031021Z-1f3a9c01";
const std::string kThird = "20261122T031022Z-1f3a9c02";
const std::string kFourth = "20261122T031023Z-1f3a9c03";

Point point(const std::string& id, const std::string& parent) {
  Point made{.id = id,
             .label = "before",
             .method = "internal",
             .parent = parent,
             .time = "2026-11-22T03:10:20.000Z",
             .state = State::kKept,
             .disks = {{"vda", {{"/images/vda.qcow2", "qcow2"}}, 65536}}};
  made.evidence["evidence"] = {{"reasons", {"why"}}};
  return made;
}

// The second and the third stand on the first, the fourth on the second.
Points sample() {
  Points points;
  points.points = {point(kFirst, ""), point(kSecond, kFirst), point(kThird, kFirst),
                   point(kFourth, kSecond)};
  points.current = kFourth;
  return points;
}

TEST(Points, AreReadBackAsTheyWereWritten) {
  Points points = sample();
  points.points.back().state = State::kTaking;
  points.points.front().memory = PointMemory{"vda", 1024, 19, "7.2.22", "pc-i440fx-7.2"};
  points.revert = Revert{kFirst, kThird, Revert::Phase::kWaking, true, "1234 since 5678"};
  const auto again = parse_points(base::to_document(to_json(points)));
  ASSERT_TRUE(again) << again.error().text();
  EXPECT_EQ(to_json(*again), to_json(points));
  EXPECT_EQ(again->revert->saved, kThird);
  EXPECT_EQ(again->points.front().memory->standstill_ms, 19);
}

TEST(Points, AreUnfinishedWhileOneIsTakenOrRemovedOrRevertedTo) {
  Points points = sample();
  EXPECT_FALSE(points.unfinished());
  points.points[1].state = State::kRemoving;
  EXPECT_TRUE(points.unfinished());
  points.points[1].state = State::kKept;
  points.revert = Revert{.to = kFirst, .saved = {}};
  EXPECT_TRUE(points.unfinished());
}

TEST(Points, AreRefusedIfOneStandsOnWhatComesLaterOrPathsAreNotAbsolute) {
  Points points = sample();
  std::swap(points.points[0], points.points[1]);
  EXPECT_EQ(parse_points(base::to_document(to_json(points))).error().text(),
            "a point stands on one that is missing");
  points = sample();
  points.points[0].disks[0].chain[0].path = "vda.qcow2";
  EXPECT_EQ(parse_points(base::to_document(to_json(points))).error().text(),
            "an image's path is not absolute");
  points = sample();
  points.points[0].memory = PointMemory{"vdb", 1024, 0, "7.2.22", "pc"};
  EXPECT_EQ(parse_points(base::to_document(to_json(points))).error().text(),
            "the disk of the memory is none of its disks");
  points = sample();
  points.points[3].id = kFirst;
  points.current.clear();
  EXPECT_EQ(parse_points(base::to_document(to_json(points))).error().text(),
            "a point stands twice");
}

TEST(Points, FormATreeThatIsIndentedWhereItForks) {
  const Points points = sample();
  std::vector<std::pair<std::string, std::size_t>> shown;
  for (const Branch& branch : as_tree(points))
    shown.emplace_back(branch.point->id, branch.depth);
  EXPECT_EQ(shown, (std::vector<std::pair<std::string, std::size_t>>{
                       {kFirst, 0}, {kSecond, 1}, {kFourth, 1}, {kThird, 1}}));
}

TEST(Points, StandOnWhatTheOneThatIsTakenOutStoodOn) {
  Points points = sample();
  take_out(points, kSecond);
  EXPECT_EQ(points.find(kFourth)->parent, kFirst);
  take_out(points, kFourth);
  EXPECT_EQ(points.current, kFirst);
  take_out(points, kFirst);
  EXPECT_EQ(points.find(kThird)->parent, "");
  EXPECT_EQ(points.current, "");
}

TEST(Points, OfSubvolumesNameTheirSnapshotsAndNoOthersDo) {
  Points points = sample();
  points.points[0].snapshots = {{"/images", "/images/.snapshot"}};
  EXPECT_EQ(parse_points(base::to_document(to_json(points))).error().text(),
            "its snapshots are none");
  points.points[0].method = kBtrfs;
  const auto again = parse_points(base::to_document(to_json(points)));
  ASSERT_TRUE(again) << again.error().text();
  ASSERT_EQ(again->points[0].snapshots.size(), 1U);
  EXPECT_EQ(again->points[0].snapshots[0].source, "/images");
  EXPECT_EQ(again->points[0].snapshots[0].path, "/images/.snapshot");
  EXPECT_EQ(to_json(*again), to_json(points));
  points.points[0].snapshots[0].path = "images/.snapshot";
  EXPECT_EQ(parse_points(base::to_document(to_json(points))).error().text(),
            "a snapshot's path is not absolute");
  points.points[0].snapshots.clear();
  EXPECT_EQ(parse_points(base::to_document(to_json(points))).error().text(),
            "its snapshots are none");
}

TEST(Layers, AreReadInTheSnapshotOfTheInnermostSubvolume) {
  const TemporaryDirectory directory;
  const std::string& outer = directory.path();
  const std::string inner = directory.file("inner");
  for (const char* name : {"inner", "kept", "inner/kept"})
    std::filesystem::create_directory(directory.file(name));
  Point taken = point(kFirst, "");
  taken.method = kBtrfs;
  taken.snapshots = {{outer, outer + "/kept"}, {inner, inner + "/kept"}};
  taken.disks = {{"vda", {{inner + "/vda.qcow2", "qcow2"}, {outer + "/golden", "raw"}}, 65536}};
  EXPECT_EQ(layers_of(taken, taken.disks[0]).error().code(), ErrorCode::kNotFound);
  const auto make = [](const std::string& path) {
    ASSERT_TRUE(base::write_file(path, "x", 0600, base::Durable::kNo));
  };
  make(inner + "/kept/vda.qcow2");
  // In no snapshot, since it is in a subvolume of its own: as it is.
  auto layers = layers_of(taken, taken.disks[0]);
  ASSERT_TRUE(layers) << layers.error().text();
  ASSERT_EQ(layers->size(), 2U);
  EXPECT_EQ(layers->at(0).path, inner + "/kept/vda.qcow2");
  EXPECT_EQ(layers->at(1).path, outer + "/golden");
  make(outer + "/kept/golden");
  layers = layers_of(taken, taken.disks[0]);
  ASSERT_TRUE(layers) << layers.error().text();
  EXPECT_EQ(layers->at(1).path, outer + "/kept/golden");
  EXPECT_EQ(layers->at(1).format, "raw");
}

TEST(Store, IsPrivateAndGoesWithTheLastPoint) {
  const TemporaryDirectory directory;
  const Store store(directory.file(""), "web1");
  ASSERT_TRUE(store.load());
  EXPECT_TRUE(store.load()->points.empty());
  ASSERT_TRUE(store.save(sample()));
  struct stat status {};
  ASSERT_EQ(::stat(directory.file("points/web1.json").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  EXPECT_EQ(to_json(*store.load()), to_json(sample()));
  ASSERT_TRUE(store.save(Points{}));
  EXPECT_NE(::stat(directory.file("points/web1.json").c_str(), &status), 0);
  ASSERT_TRUE(base::write_file(directory.file("points/web1.json"), "{}", 0600, base::Durable::kNo));
  EXPECT_EQ(store.load().error().code(), ErrorCode::kCorrupt);
}

TEST(Subvolume, KnowsWhatItsQuotaGroupHasAlone) {
  using snapshot::exclusive_in;
  EXPECT_EQ(exclusive_in("Qgroupid    Referenced    Exclusive   Path \n"
                         "--------    ----------    ---------   ---- \n"
                         "0/257          4210688        16384   a/.s1\n"),
            16384U);
  EXPECT_EQ(exclusive_in("qgroupid         rfer         excl \n1/5 7 8\n0/257 4210688 32768"),
            32768U);
  EXPECT_EQ(exclusive_in(""), std::nullopt);
  EXPECT_EQ(exclusive_in("0/257 none 0\n"), std::nullopt);
}

TEST(ImageInfo, HasSnapshotsBitmapsAndWhatIsBelow) {
  const auto info = image::parse_image_info(R"({"format": "qcow2", "backing-filename": "a.qcow2",
      "full-backing-filename": "/images/a.qcow2",
      "snapshots": [{"name": "one", "id": "1", "vm-state-size": 7, "date-sec": 5}],
      "format-specific": {"type": "qcow2", "data": {"bitmaps": [{"name": "b"}]}}})");
  ASSERT_TRUE(info) << info.error().text();
  EXPECT_EQ(info->backing_file, "/images/a.qcow2");
  ASSERT_NE(info->snapshot("one"), nullptr);
  EXPECT_EQ(info->snapshot("one")->memory, 7U);
  EXPECT_EQ(info->snapshot("two"), nullptr);
  EXPECT_EQ(info->bitmaps, std::vector<std::string>{"b"});
  EXPECT_FALSE(info->has_data_file);
  EXPECT_EQ(image::parse_image_info(R"({"format": "qcow2", "snapshots": {}})").error().code(),
            ErrorCode::kProtocol);
}

}  // namespace
}  // namespace holdfast::host::point
