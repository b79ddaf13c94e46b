// SPDX-License-Identifier: MIT
#include "snapshot/lvm/volumes.h"

#include <gtest/gtest.h>
#include <sys/sysmacros.h>

#include "base/json_codec.h"
#include "snapshot/lvm/mounted_snapshot.h"

namespace holdfast::host::snapshot {
namespace {

using base::ErrorCode;
using base::Json;

// As lvs 2.03 reports them, each value a string.
Json entry(const Json& changes = Json::object()) {
  Json volume{{"vg_name", "vg0"},       {"lv_name", "images"},    {"lv_attr", "owi-aos---"},
              {"origin", ""},           {"pool_lv", ""},          {"lv_kernel_major", "253"},
              {"lv_kernel_minor", "4"}, {"lv_size", "268435456"}, {"vg_free", "67108864"},
              {"data_percent", ""},     {"metadata_percent", ""}, {"lv_snapshot_invalid", "0"},
              {"lv_health_status", ""}};
  volume.update(changes);
  return volume;
}

std::string report(const std::vector<Json>& entries) {
  Json volumes = Json::array();
  for (const Json& one : entries)
    volumes.push_back(one);
  return base::to_line({{"report", Json::array({{{"lv", std::move(volumes)}}})}});
}

Volume one(const Json& changes = Json::object()) {
  auto volumes = parse_volumes(report({entry(changes)}));
  EXPECT_TRUE(volumes) << volumes.error().text();
  return volumes ? volumes->at(0) : Volume();
}

TEST(Volumes, AreReadFromWhatLvsReports) {
  const Volume volume = one();
  EXPECT_EQ(volume.full_name(), "vg0/images");
  EXPECT_EQ(volume.device, makedev(253, 4));
  EXPECT_EQ(volume.size, 268435456U);
  EXPECT_EQ(volume.group_free, 67108864U);
  EXPECT_FALSE(volume.data_used);
  EXPECT_FALSE(volume.is_thin() || volume.is_thick_snapshot() || volume.is_full());
}

TEST(Volumes, AreOnNoDeviceUnlessActive) {
  EXPECT_EQ(one({{"lv_kernel_major", "-1"}, {"lv_kernel_minor", "-1"}}).device, std::nullopt);
}

TEST(Volumes, OfAThinPoolAreThin) {
  const Volume volume = one({{"lv_attr", "Vwi-aotz--"}, {"pool_lv", "pool"}});
  EXPECT_TRUE(volume.is_thin());
  EXPECT_EQ(volume.pool, "pool");
}

TEST(Volumes, AreFullAtAHundredPercentOfDataOrMetadata) {
  const Json snapshot{{"lv_attr", "sri-a-s---"}, {"origin", "images"}};
  const auto with = [&](const char* key, const char* value) {
    Json changes = snapshot;
    changes[key] = value;
    return one(changes);
  };
  EXPECT_FALSE(with("data_percent", "99.99").is_full());
  EXPECT_TRUE(with("data_percent", "100.00").is_full());
  EXPECT_TRUE(with("metadata_percent", "100.00").is_full());
  EXPECT_TRUE(with("lv_snapshot_invalid", "1").invalid);
  EXPECT_FALSE(with("lv_snapshot_invalid", "-1").invalid);
}

TEST(Volumes, WithNamesThatNoVolumeHasAreNoReport) {
  for (const char* key : {"vg_name", "lv_name", "origin", "pool_lv"}) {
    for (const char* name : {"-y", "--config=x", "a/b", "a b", "../x", "..", ".", "a\nb", "\x1b[2J",
                             "na\xc3\xafve", "a;b", "$(x)"}) {
      const auto volumes = parse_volumes(report({entry({{key, name}})}));
      ASSERT_FALSE(volumes) << key << ' ' << name;
      EXPECT_EQ(volumes.error().code(), ErrorCode::kCorrupt);
      EXPECT_EQ(volumes.error().one_line().find('\x1b'), std::string::npos);
    }
    EXPECT_FALSE(parse_volumes(report({entry({{key, std::string(128, 'a')}})})));
  }
  EXPECT_FALSE(parse_volumes(report({entry({{"lv_name", ""}})})));
}

TEST(Volumes, WithNumbersThatAreNoneAreNoReport) {
  for (const char* key : {"lv_size", "vg_free", "lv_kernel_major", "lv_kernel_minor"})
    for (const char* value : {"", "-2", "1x", "0x10", " 1", "99999999999999999999"})
      EXPECT_FALSE(parse_volumes(report({entry({{key, value}})}))) << key << ' ' << value;
  for (const char* key : {"data_percent", "metadata_percent"})
    for (const char* value : {"-1", "nan", "x", "1,5", "10%"})
      EXPECT_FALSE(parse_volumes(report({entry({{key, value}})}))) << key << ' ' << value;
}

TEST(Volumes, OfAnotherFormAreNoReport) {
  for (const char* text :
       {"", "WARNING: \n{}", "[]", "{}", R"({"report":{}})", R"({"report":[1]})",
        R"({"report":[{"vg":[]}]})", R"({"report":[{"lv":[{}]}]})", R"({"report":[{"lv":["x"]}]})"})
    EXPECT_FALSE(parse_volumes(text)) << text;
  EXPECT_FALSE(parse_volumes(report({entry({{"lv_size", 5}})})));
  const auto none = parse_volumes(report({}));
  ASSERT_TRUE(none);
  EXPECT_TRUE(none->empty());
}

TEST(Volumes, AreFoundByGroupAndName) {
  const auto volumes = parse_volumes(report({entry({{"vg_name", "vg1"}}), entry()}));
  ASSERT_TRUE(volumes);
  EXPECT_EQ(find_volume(*volumes, "vg0/images"), &volumes->at(1));
  EXPECT_EQ(find_volume(*volumes, "vg2/images"), nullptr);
  EXPECT_EQ(find_volume(*volumes, "images"), nullptr);
}

TEST(Volumes, GetSnapshotsOfAShareOfTheirSizeAndNoLessThanIsOfUse) {
  constexpr std::uint64_t kMiB = std::uint64_t{1} << 20U;
  Volume volume = one();
  volume.size = 4096 * kMiB;
  EXPECT_EQ(snapshot_size(volume, 25), 1024 * kMiB);
  EXPECT_EQ(snapshot_size(volume, 0), 32 * kMiB);
  volume.size = 8 * kMiB;
  EXPECT_EQ(snapshot_size(volume, 100), 32 * kMiB);
}

TEST(Volumes, AreSnapshottedReadOnly) {
  const Volume thick = one();
  const Volume thin = one({{"lv_attr", "Vwi-aotz--"}, {"pool_lv", "pool"}});
  using Words = std::vector<std::string>;
  EXPECT_EQ(create_command(thick, "holdfast-web1-1f3a9c0b-0", 4096),
            (Words{"setsid", "--wait", "lvcreate", "--quiet", "--snapshot", "--permission", "r",
                   "--name", "holdfast-web1-1f3a9c0b-0", "--size", "4096b", "vg0/images"}));
  EXPECT_EQ(create_command(thin, "holdfast-web1-1f3a9c0b-0", 4096),
            (Words{"setsid", "--wait", "lvcreate", "--quiet", "--snapshot", "--permission", "r",
                   "--name", "holdfast-web1-1f3a9c0b-0", "--setactivationskip", "n", "--activate",
                   "y", "vg0/images"}));
  EXPECT_EQ(
      remove_command("vg0/holdfast-web1-1f3a9c0b-0"),
      (Words{"setsid", "--wait", "lvremove", "--quiet", "--yes", "vg0/holdfast-web1-1f3a9c0b-0"}));
  EXPECT_EQ(list_command("vg0").back(), "vg0");
}

TEST(Volumes, HaveNamesNoLongerThanTheDeviceMappers) {
  EXPECT_TRUE(fits_device_mapper("vg0", "holdfast-web1-1f3a9c0b-0"));
  EXPECT_TRUE(fits_device_mapper("vg0", std::string(119, 'a')));
  EXPECT_FALSE(fits_device_mapper("vg0", std::string(120, 'a')));
  EXPECT_FALSE(fits_device_mapper("vg0", std::string(60, '-')));
}

class Mountinfo : public ::testing::Test {
 protected:
  static std::string inside(std::uint64_t mount, const std::string& path) {
    constexpr std::string_view kText =
        "21 1 253:0 / / rw,relatime shared:1 - ext4 /dev/mapper/vg0-root rw\n"
        "30 21 253:1 / /srv/vm rw - xfs /dev/mapper/vg0-images rw\n"
        "31 21 253:1 /part\\040one /mnt/with\\040space rw - xfs /dev/mapper/vg0-images rw\n"
        "32 21 253:1 relative /mnt/odd rw - xfs x rw\n"
        "33\n";
    const auto found = path_in_filesystem(kText, mount, path);
    return found ? *found : found.error().text();
  }
};

TEST_F(Mountinfo, SaysWhereAFileIsInItsFilesystem) {
  EXPECT_EQ(inside(21, "/var/a.qcow2"), "/var/a.qcow2");
  EXPECT_EQ(inside(30, "/srv/vm/web1/a.qcow2"), "/web1/a.qcow2");
  EXPECT_EQ(inside(31, "/mnt/with space/a.qcow2"), "/part one/a.qcow2");
}

TEST_F(Mountinfo, SaysWhereADirectoryIsThatIsItsTop) {
  EXPECT_EQ(inside(30, "/srv/vm"), "/");
  EXPECT_EQ(inside(31, "/mnt/with space"), "/part one");
}

TEST_F(Mountinfo, OfAnotherPlaceIsRefused) {
  for (const std::uint64_t mount : {30U, 32U, 33U, 99U})
    EXPECT_EQ(inside(mount, "/srv/vmx/a.qcow2"),
              "unable to find where '/srv/vmx/a.qcow2' is mounted");
}

}  // namespace
}  // namespace holdfast::host::snapshot
