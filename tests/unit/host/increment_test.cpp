// SPDX-License-Identifier: MIT
#include "snapshot/increment.h"

#include <gtest/gtest.h>

#include "snapshot/bitmaps.h"
#include "support/scripted_peer.h"

namespace holdfast::host::snapshot {
namespace {

using base::Deadline;
using base::Json;
using base::Millis;
using namespace support;

constexpr const char* kTag = "1f3a9c0b";
constexpr const char* kLatest = "20261120T182114Z-00000002";
constexpr const char* kEarlier = "20261120T182114Z-00000001";
constexpr const char* kLater = "20261120T182114Z-00000003";

qmp::Bitmap recording(const std::string& name, std::uint64_t count = 0) {
  return {name, count, true, false, false};
}

qmp::Disk disk_with(std::vector<qmp::Bitmap> bitmaps, const std::string& format = "qcow2") {
  qmp::Disk disk;
  disk.name = "vda";
  disk.node = "node0";
  disk.chain = {{"/vda", format}};
  disk.virtual_size = 1000;
  disk.bitmaps = std::move(bitmaps);
  return disk;
}

Parent parent() {
  return {kLatest, {{"vda", 1000, "../" + std::string(kLatest) + "/vda.qcow2", {}}}, {}};
}

std::string reason(const qmp::Disk& disk, const Parent& below = parent()) {
  return plan_disk(disk, below, kTag).full_because;
}

TEST(Increment, IsTakenOfWhatTheBitmapOfTheLatestBackupHasMarked) {
  const auto plan = plan_disk(disk_with({recording(bitmap_name(kTag, kEarlier, "vda"), 7),
                                         recording(bitmap_name(kTag, kLatest, "vda"), 512)}),
                              parent(), kTag);
  EXPECT_TRUE(plan.increment()) << plan.full_because;
  EXPECT_EQ(plan.changed, 512U);
  EXPECT_EQ(plan.reference, "../20261120T182114Z-00000002/vda.qcow2");
}

TEST(Increment, IsNoLargerThanTheDisk) {
  const auto disk = disk_with({recording(bitmap_name(kTag, kLatest, "vda"), ~std::uint64_t{0})});
  EXPECT_EQ(plan_disk(disk, parent(), kTag).changed, 1000U);
}

TEST(Increment, IsRefusedWithTheReasonWhereTheRepositoryHasNothingToStandOn) {
  const qmp::Disk disk = disk_with({recording(bitmap_name(kTag, kLatest, "vda"))});
  Parent below = parent();
  below.problem = "there is no earlier backup";
  EXPECT_EQ(reason(disk, below), "there is no earlier backup");
  below = parent();
  below.disks.front().name = "vdb";
  EXPECT_EQ(reason(disk, below), "the backup '20261120T182114Z-00000002' has no such disk");
  below = parent();
  below.disks.front().virtual_size = 999;
  EXPECT_EQ(reason(disk, below), "its size has changed from 999 to 1000 bytes");
  below = parent();
  below.disks.front().problem = "an image is missing";
  EXPECT_EQ(reason(disk, below), "an image is missing");
}

TEST(Increment, IsRefusedWithTheReasonWhereTheBitmapCannotBeReliedOn) {
  const std::string name = bitmap_name(kTag, kLatest, "vda");
  EXPECT_NE(reason(disk_with({})).find("the image was replaced"), std::string::npos);
  EXPECT_NE(reason(disk_with({}, "raw")).find("QEMU was started anew"), std::string::npos);
  EXPECT_EQ(reason(disk_with({{name, 0, false, false, true}})),
            "its dirty bitmap is inconsistent: QEMU did not end as it should");
  EXPECT_EQ(reason(disk_with({{name, 0, false, false, false}})),
            "its dirty bitmap was switched off");
  EXPECT_EQ(reason(disk_with({{name, 0, true, true, false}})),
            "its dirty bitmap is in use by another program");
}

TEST(Increment, IsNeverMadeFromABitmapOfAnotherRepositoryBackupOrDisk) {
  for (const std::string& name :
       {bitmap_name("00000000", kLatest, "vda"), bitmap_name(kTag, kEarlier, "vda"),
        bitmap_name(kTag, kLater, "vda"), bitmap_name(kTag, kLatest, "vdb")}) {
    EXPECT_NE(reason(disk_with({recording(name)})), "") << name;
  }
}

TEST(Bitmaps, OfThisRepositoryAloneAreCalledUseless) {
  const std::string kept = bitmap_name(kTag, kLatest, "vda");
  const std::string other = bitmap_name("00000000", kEarlier, "vda");
  const auto disk = disk_with({recording(kept), recording(other), recording("libvirt-x"),
                               recording(bitmap_name(kTag, kEarlier, "vda")),
                               recording(bitmap_name(kTag, kLater, "vda")),
                               recording(bitmap_name(kTag, kLatest, "vdb"))});
  EXPECT_EQ(useless_bitmaps(disk, kTag, kLatest),
            (std::vector<std::string>{bitmap_name(kTag, kEarlier, "vda"),
                                      bitmap_name(kTag, kLater, "vda"),
                                      bitmap_name(kTag, kLatest, "vdb")}));
  EXPECT_EQ(useless_bitmaps(disk, kTag, "").size(), 4U);
  EXPECT_EQ(useless_bitmaps(disk_with({{kept, 0, false, false, false}}), kTag, kLatest).size(), 1U);
  EXPECT_EQ(useless_bitmaps(disk_with({{kept, 0, true, false, true}}), kTag, kLatest).size(), 1U);
}

// The arguments of each block-dirty-bitmap-add, and what comes of it.
class BitmapAdding : public ::testing::Test {
 protected:
  base::Result<void> add(const std::string& format, std::vector<Exchange> script) {
    for (Exchange& exchange : script) {
      exchange.answer = [this, inner = exchange.answer](const Json& request) {
        asked_.push_back(request.at("arguments").at("persistent").get<bool>());
        EXPECT_TRUE(request.at("arguments").at("disabled").get<bool>());
        return inner(request);
      };
    }
    script.insert(script.begin(), returns("qmp_capabilities", Json::object()));
    ScriptedPeer peer(kQmpGreeting, std::move(script));
    auto client = qmp::Client::connect(peer.path(), Deadline::in(Millis(5000)), {});
    EXPECT_TRUE(client);
    auto added = add_bitmap(*client, disk_with({}, format), "b", Deadline::in(Millis(5000)));
    EXPECT_EQ(peer.finish(), "");
    return added;
  }

  std::vector<bool> asked_;
};

TEST_F(BitmapAdding, LetsItOutlastQemuWhereTheFormatCan) {
  EXPECT_TRUE(add("qcow2", {returns("block-dirty-bitmap-add", Json::object())}));
  EXPECT_TRUE(add("raw", {returns("block-dirty-bitmap-add", Json::object())}));
  EXPECT_EQ(asked_, (std::vector<bool>{true, false}));
}

TEST_F(BitmapAdding, DoesWithoutThatWhereTheImageIsTooOld) {
  EXPECT_TRUE(add("qcow2", {fails("block-dirty-bitmap-add", "GenericError", "no room"),
                            returns("block-dirty-bitmap-add", Json::object())}));
  EXPECT_EQ(asked_, (std::vector<bool>{true, false}));
}

TEST_F(BitmapAdding, FailsNamingTheDisk) {
  const auto added = add("raw", {fails("block-dirty-bitmap-add", "GenericError", "no")});
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().message(), "unable to add a dirty bitmap to disk 'vda'");
}

}  // namespace
}  // namespace holdfast::host::snapshot
