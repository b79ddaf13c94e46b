// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include "container/exchange.h"
#include "container/manager.h"
#include "container/other_mounts.h"
#include "repository/manifest.h"

namespace holdfast::host {
namespace {

TEST(ContainerCgroup, IsTheFirstPartOfThatName) {
  const std::vector<std::string> marks{"/machine-web.scope/payload"};
  EXPECT_EQ(
      container::payload_in("0::/machine.slice/machine-web.scope/payload/init.scope\n", marks),
      "/machine.slice/machine-web.scope/payload");
  // What a container calls its own.
  EXPECT_EQ(container::payload_in("12:cpu:/x\n0::/m/machine-web.scope/payload/a/machine-web.scope/"
                                  "payload\n",
                                  marks),
            "/m/machine-web.scope/payload");
  EXPECT_EQ(container::payload_in("0::/m/machine-web.scope/payload2\n", marks), "");
  EXPECT_EQ(container::payload_in("0::/m/machine-web.scope/supervisor\n", marks), "");
  EXPECT_EQ(container::payload_in("0::/../machine-web.scope/payload\n", marks), "");
  EXPECT_EQ(container::payload_in("9:name=systemd:/machine-web.scope/payload\n", marks), "");
  EXPECT_EQ(container::payload_in("", marks), "");
  // The outermost, whichever of them it is.
  EXPECT_EQ(
      container::payload_in("0::/lxc/web/lxc.payload.web/x\n", {"/lxc.payload.web", "/lxc/web"}),
      "/lxc/web");
}

TEST(ContainerMounts, AreThoseThatSomebodyWouldMiss) {
  const auto mounts = container::parse_other_mounts(
      "1 0 0:1 / / rw - btrfs /dev/a rw\n"
      "2 1 0:2 / /proc rw shared:1 - proc proc rw\n"
      "3 1 8:1 /data /srv/d\\040b rw,nosuid master:2 - ext4 /dev/b rw\n"
      "4 1 0:3 / /run rw - tmpfs tmpfs rw\n"
      "a line that is none\n"
      "5 1 0:4 / /net rw - nfs4 host:/x rw\n"
      "6 5 0:4 / /net ro - nfs4 host:/x rw\n"
      "7 1 8:1 /usr/lib/os-release /run/host/os-release ro - ext4 /dev/b rw\n");
  ASSERT_EQ(mounts.size(), 2U);
  EXPECT_EQ(mounts[0].path + " " + mounts[0].kind, "/srv/d\\040b ext4");
  EXPECT_EQ(mounts[1].path + " " + mounts[1].kind, "/net nfs4");
}

TEST(ContainerSubvolumes, AreThoseBelowTheRoot) {
  const std::string listing =
      "ID 258 gen 12 top level 257 path machines/web/var/lib/portables\n"
      "ID 259 gen 12 top level 257 path machines/db\n";
  EXPECT_EQ(container::parse_subvolumes(listing, "").size(), 2U);
  EXPECT_EQ(container::parse_subvolumes(listing, "web"),
            std::vector<std::string>{"machines/web/var/lib/portables"});
}

TEST(ContainerPaths, StayInTheRoot) {
  EXPECT_EQ(*container::path_in_root("//etc/./motd/"), "etc/motd");
  for (const char* path : {"", "/", ".", "..", "/etc/../..", "a/../b"})
    EXPECT_FALSE(container::path_in_root(path)) << path;
}

std::string manifest_with(const std::string& archive) {
  return R"({"schema": 1, "id": "20261120T182114Z-1f3a9c0b", "vm": "web1", "level": "crash",
             "begin": "2026-11-20T18:21:14Z", "disks": [], "archive": )" +
         archive + "}";
}

TEST(ContainerManifest, HasOneFileWithAName) {
  const std::string sum(64, 'a');
  const auto entry = [&](const std::string& file, const std::string& compression) {
    return manifest_with(R"({"file": ")" + file + R"(", "compression": ")" + compression +
                         R"(", "bytes": 7, "sha256": ")" + sum + R"("})");
  };
  const auto good = repository::parse_manifest(entry("root.tar.zst", "zstd"));
  ASSERT_TRUE(good) << good.error().text();
  EXPECT_EQ(good->stored_bytes(), 7U);
  EXPECT_TRUE(repository::parse_manifest(entry("root.tar", "none")));
  for (const auto& bad :
       {entry("../root.tar", "none"), entry("root.tar", "zstd"), entry("root.tar.zst", "none"),
        entry("root.tar", "xz"), manifest_with("null"), manifest_with("[]"), manifest_with("{}")}) {
    EXPECT_FALSE(repository::parse_manifest(bad)) << bad;
  }
}

}  // namespace
}  // namespace holdfast::host
