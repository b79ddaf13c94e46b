// SPDX-License-Identifier: MIT
#include "core/mounts.h"

#include <gtest/gtest.h>

namespace holdfast::core {
namespace {

using Paths = std::vector<std::string>;

constexpr std::string_view kGuest =
    "22 27 0:21 / /proc rw,relatime - proc proc rw\n"
    "27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard\n"
    "30 27 254:16 / /var/lib/mysql rw,noatime shared:9 master:2 - xfs /dev/vdb rw,attr2\n"
    "31 27 0:25 / /run rw,nosuid - tmpfs tmpfs rw,size=4k\n";

Paths freezable_in(std::string_view text) {
  auto mounts = parse_mountinfo(text);
  if (!mounts) return {mounts.error().text()};
  return freezable(*mounts);
}

TEST(Mounts, FindsTheWritableFilesystemsOnBlockDevices) {
  EXPECT_EQ(freezable_in(kGuest), (Paths{"/", "/var/lib/mysql"}));
}

TEST(Mounts, CountsASuperblockOnceAndTakesItsWholeMount) {
  EXPECT_EQ(freezable_in("30 27 254:0 /srv/www /www rw - ext4 /dev/vda rw\n"
                         "27 1 254:0 / /mnt/root rw - ext4 /dev/vda rw\n"
                         "28 1 254:0 / /r rw - ext4 /dev/vda rw\n"),
            (Paths{"/r"}));
}

TEST(Mounts, TakesAPartWhenTheWholeIsNotMounted) {
  EXPECT_EQ(freezable_in("30 27 0:40 /@ / rw - btrfs /dev/vda rw,subvol=/@\n"
                         "31 27 0:40 /@home /home rw - btrfs /dev/vda rw,subvol=/@home\n"),
            (Paths{"/"}));
}

TEST(Mounts, LooksAtTheSuperblocksFlagAndNotAtTheMounts) {
  EXPECT_EQ(freezable_in("27 1 254:0 / / ro,relatime - ext4 /dev/vda rw\n"
                         "28 1 254:16 / /iso rw,relatime - iso9660 /dev/sr0 ro\n"),
            (Paths{"/"}));
}

TEST(Mounts, LeavesOutFilesystemsInUserSpaceAndOverTheNetwork) {
  EXPECT_EQ(freezable_in("27 1 8:1 / /ntfs rw - fuseblk /dev/sda1 rw\n"
                         "28 1 0:50 / /nfs rw - nfs4 server:/export rw\n"
                         "29 1 0:51 / / rw - overlay overlay rw,lowerdir=/x\n"
                         "24 27 0:6 / /dev rw - devtmpfs /dev/none rw\n"),
            (Paths{}));
}

TEST(Mounts, UnescapesBlanksInPaths) {
  EXPECT_EQ(freezable_in("27 1 8:1 / /with\\040blank\\134 rw - ext4 /dev/sda1 rw\n"),
            (Paths{"/with blank\\"}));
}

TEST(Mounts, RefusesALineThatIsNoneOfTheKernels) {
  for (const char* line : {"nonsense\n", "27 1 254:0 / / rw,relatime\n", "1 2 3 4 5 6 - ext4\n"}) {
    const auto mounts = parse_mountinfo(line);
    ASSERT_FALSE(mounts) << line;
    EXPECT_EQ(mounts.error().code(), base::ErrorCode::kCorrupt);
  }
  EXPECT_EQ(parse_mountinfo("nonsense\n").error().text(),
            "unable to read the mount table: 'nonsense'");
}

TEST(Mounts, ReadsTheTableOfThisProcess) {
  EXPECT_TRUE(freezable_here());
}

}  // namespace
}  // namespace holdfast::core
