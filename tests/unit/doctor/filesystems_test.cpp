// SPDX-License-Identifier: MIT
#include "tree.h"

namespace holdfast::doctor {
namespace {

class Filesystems : public DoctorTest {};

TEST_F(Filesystems, FindAnImageMountedFromAFrozenFilesystem) {
  mounts("30 22 7:0 / /srv rw - ext4 /dev/loop0 rw\n");
  write("/sys/block/loop0/loop/backing_file", "/var/images/srv.img\n");
  EXPECT_EQ(complaints(), (Complaints{"problem loop"}));
  EXPECT_EQ(
      text_of("loop"),
      "'/srv' is an image ('/var/images/srv.img') on '/', which is frozen too: the freeze can "
      "hang for ever -> umount /srv, mount it read-only, or give it a disk of its own");
}

TEST_F(Filesystems, AllowAnImageThatIsReadOnlyOrInMemory) {
  mounts(
      "30 22 7:0 / /snap/x ro - squashfs /dev/loop0 ro\n"
      "31 22 7:1 / /srv rw - ext4 /dev/loop1 rw\n");
  write("/sys/block/loop0/loop/backing_file", "/var/lib/x.snap\n");
  write("/sys/block/loop1/loop/backing_file", "/run/y.img\n");
  EXPECT_EQ(complaints(), Complaints{});
}

TEST_F(Filesystems, SayWhenTheImageIsNotKnown) {
  mounts("30 22 7:0 / /srv rw - ext4 /dev/loop0 rw\n");
  EXPECT_EQ(complaints(), (Complaints{"unknown loop"}));
}

TEST_F(Filesystems, FindWhatAFreezeCannotStop) {
  mounts(
      "30 22 0:40 / /nfs rw - nfs4 server:/x rw\n"
      "31 22 0:41 / /sshfs rw - fuse.sshfs x: rw\n"
      "32 22 8:1 / /ntfs rw - fuseblk /dev/sda1 rw\n"
      "33 22 0:42 / /tank rw - zfs tank rw\n"
      "34 22 0:43 / /sys/fs/fuse/connections rw - fusectl fusectl rw\n"
      "35 22 0:44 / /var/lib/docker/overlay2/x rw - overlay overlay rw\n");
  EXPECT_EQ(complaints(),
            (Complaints{"warning network", "warning fuse", "warning fuse", "warning zfs"}));
}

TEST_F(Filesystems, FindThatNothingCanBeFrozen) {
  write("/proc/self/mountinfo",
        "22 1 0:50 / / rw - overlay overlay rw\n23 22 0:21 / /run rw - tmpfs tmpfs rw\n");
  EXPECT_EQ(complaints(), (Complaints{"problem nothing-freezable", "warning overlay",
                                      "warning state-directory"}));
}

TEST_F(Filesystems, FindThatTheServiceStandsOnWhatIsFrozen) {
  write("/proc/self/mountinfo", "22 1 254:1 / / rw - ext4 /dev/vda1 rw\n");
  EXPECT_EQ(complaints(), (Complaints{"problem run-directory"}));
}

TEST_F(Filesystems, FindThatTheRecordIsInNoSnapshot) {
  mounts("30 22 0:40 / /var/lib rw - nfs4 server:/x rw\n");
  EXPECT_EQ(complaints(), (Complaints{"warning network", "warning state-directory"}));
}

TEST_F(Filesystems, AllowBindMountsUntilThereAreTooMany) {
  std::string few;
  for (int i = 0; i < 20; ++i)
    few += std::to_string(100 + i) + " 22 254:1 /x /jail/" + std::to_string(i) +
           " rw - ext4 /dev/vda1 rw\n";
  mounts(few);
  EXPECT_EQ(complaints(), Complaints{});
  std::string many;
  for (int i = 0; i < 300; ++i)
    many += std::to_string(100 + i) + " 22 254:1 /x /jail/" + std::to_string(i) +
            " rw - ext4 /dev/vda1 rw\n";
  mounts(many);
  EXPECT_EQ(complaints(), (Complaints{"warning many-mounts"}));
}

TEST_F(Filesystems, MentionASwapFileAndNotASwapDevice) {
  write("/proc/swaps",
        "Filename Type Size Used Priority\n/swap.img file 1 0 -2\n/dev/vda2 partition 1 0 -3\n");
  EXPECT_EQ(complaints(), Complaints{});
  EXPECT_NE(text_of("swap-file").find("'/swap.img'"), std::string::npos);
}

TEST_F(Filesystems, LookAtThoseOfTheGuestAgent) {
  write("/proc/300/mountinfo", "22 1 0:50 / / rw - overlay overlay rw\n");
  EXPECT_EQ(complaints().front(), "problem nothing-freezable");
}

TEST_F(Filesystems, SayWhenTheyCannotBeSeen) {
  remove("/proc/self");
  EXPECT_EQ(complaints(), (Complaints{"unknown mounts"}));
}

}  // namespace
}  // namespace holdfast::doctor
