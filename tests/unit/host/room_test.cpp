// SPDX-License-Identifier: MIT
#include "snapshot/room.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "support/temporary_directory.h"

namespace holdfast::host::snapshot {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;
constexpr std::uint64_t kSize = 64 * kMiB;
constexpr std::uint64_t kCluster = 65536;
// What is there beside the data.
constexpr std::uint64_t kMore = kSize / 4096 + 4 * kMiB;

class Room : public ::testing::Test {
 protected:
  // A sparse file with one byte at each of these places.
  qmp::Disk disk(const std::vector<std::uint64_t>& places, std::uint64_t actual_size = 0) {
    const std::string path = directory_.file("disk.raw");
    std::ofstream file(path, std::ios::binary);
    for (const std::uint64_t place : places) {
      file.seekp(static_cast<std::streamoff>(place));
      file.put('x');
    }
    file.close();
    std::filesystem::resize_file(path, kSize);
    qmp::Disk made;
    made.name = "vda";
    made.chain = {{path, "raw"}};
    made.virtual_size = kSize;
    made.actual_size = actual_size;
    return made;
  }
  static std::uint64_t blocks_of(const std::string& path) {
    struct stat status {};
    EXPECT_EQ(::stat(path.c_str(), &status), 0);
    return static_cast<std::uint64_t>(status.st_blocks) * 512;
  }
  support::TemporaryDirectory directory_;
};

TEST_F(Room, IsCountedInTheClustersOfTheCopy) {
  EXPECT_EQ(room_for(disk({})), kMore);
  // Two bytes in one cluster, one in each of two others.
  EXPECT_EQ(room_for(disk({kMiB, kMiB + 50000, 3 * kMiB, 9 * kMiB})), 3 * kCluster + kMore);
}

TEST_F(Room, IsWhatQemuSaysWhereThatIsMoreOrNobodyElseKnows) {
  EXPECT_EQ(room_for(disk({kMiB}, 5 * kMiB)), 5 * kMiB + kMore);
  qmp::Disk above = disk({kMiB}, 5 * kMiB);
  above.chain.push_back({"/elsewhere", "qcow2"});
  EXPECT_EQ(room_for(above), 5 * kMiB + kMore);
  EXPECT_EQ(room_for(disk({}, 2 * kSize)), kSize + kMore);
}

TEST_F(Room, OfAnIncrementIsWhatHasChanged) {
  EXPECT_EQ(room_for_changes(disk({kMiB}, kSize), 65536), 65536 + kMore);
  EXPECT_EQ(data_of_changes(disk({kMiB}, kSize), 65536), 65536U);
}

TEST_F(Room, OfAnIncrementIsNoMoreThanTheDiskHolds) {
  // The guest has discarded nearly all of it, which marks it as changed.
  EXPECT_EQ(data_of_changes(disk({kMiB, 3 * kMiB}), kSize), 2 * kCluster);
  EXPECT_EQ(room_for_changes(disk({kMiB, 3 * kMiB}), kSize), 2 * kCluster + kMore);
  // A block device does not tell what it holds.
  qmp::Disk device = disk({});
  device.chain.front().path = "/dev/null";
  EXPECT_EQ(data_of_changes(device, 5 * kMiB), 5 * kMiB);
  EXPECT_EQ(data_of_changes(device, 2 * kSize), kSize);
}

TEST_F(Room, IsSetAsideBeyondTheEndAndGivenBack) {
  const std::string path = directory_.file("copy");
  ASSERT_TRUE(base::write_file(path, "content", 0600, base::Durable::kNo));
  const std::uint64_t before = blocks_of(path);
  ASSERT_TRUE(reserve_room(path, kMiB));
  EXPECT_GE(blocks_of(path), kMiB);
  EXPECT_EQ(*base::read_file(path, 100), "content");
  ASSERT_TRUE(release_room(path));
  EXPECT_EQ(blocks_of(path), before);
  EXPECT_EQ(*base::read_file(path, 100), "content");
}

TEST_F(Room, ThatIsNotThereIsAnError) {
  const std::string path = directory_.file("copy");
  EXPECT_FALSE(reserve_room(path, 1));
  EXPECT_FALSE(release_room(path));
  ASSERT_TRUE(base::write_file(path, "x", 0600, base::Durable::kNo));
  EXPECT_FALSE(reserve_room(path, std::uint64_t{1} << 60U));
}

}  // namespace
}  // namespace holdfast::host::snapshot
