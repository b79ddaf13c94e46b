// SPDX-License-Identifier: MIT
#include "snapshot/commit_end.h"

#include <gtest/gtest.h>

#include "support/scripted_peer.h"

namespace holdfast::host::snapshot {
namespace {

using base::Deadline;
using base::Json;
using base::Millis;
using namespace support;

TEST(CommitEnd, IsSurvivedFromQemu82On) {
  for (const char* version : {"6.2.0", "7.2.22", "8.0.0", "8.1.5"})
    EXPECT_TRUE(dies_at_commit_end(version)) << version;
  for (const char* version : {"8.2.0", "8.10.0", "9.0.0", "10.0.2", "", "8", "x.y.z"})
    EXPECT_FALSE(dies_at_commit_end(version)) << version;
}

qmp::Disk disk(const char* format, const char* qdev) {
  qmp::Disk disk;
  disk.name = "data";
  disk.qdev = qdev;
  disk.pflash = qmp::pflash_unit(qdev);
  disk.chain = {{"/images/data", format}};
  return disk;
}

base::Result<void> check(const qmp::Disk& disk, std::vector<Exchange> answers) {
  answers.insert(answers.begin(), returns("qmp_capabilities", Json::object()));
  ScriptedPeer peer(kQmpGreeting, std::move(answers));
  const Deadline deadline = Deadline::in(Millis(5000));
  auto client = qmp::Client::connect(peer.path(), deadline, {});
  EXPECT_TRUE(client) << client.error().text();
  auto checked = check_commit_end(*client, {disk}, deadline);
  EXPECT_EQ(peer.finish(), "");
  return checked;
}

TEST(CommitEnd, IsNotAskedAboutWhereItIsSafe) {
  EXPECT_TRUE(check(disk("qcow2", "/machine/peripheral/d0"), {}));
  EXPECT_TRUE(check(disk("raw", ""), {}));
  EXPECT_TRUE(check(disk("raw", "/machine/system.flash1"), {}));
}

TEST(CommitEnd, OfADeviceThatSaysNothingIsRefused) {
  const auto checked =
      check(disk("raw", "/machine/peripheral/d0/virtio-backend"),
            {returns("qom-get", "yes"), returns("qom-get", 3), returns("qom-get", Json::array())});
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code(), base::ErrorCode::kUnsupported);
  EXPECT_NE(checked.error().text().find("disk 'data'"), std::string::npos);
  EXPECT_NE(checked.error().text().find("'/machine/peripheral/d0/virtio-backend'"),
            std::string::npos);
}

}  // namespace
}  // namespace holdfast::host::snapshot
