// SPDX-License-Identifier: MIT
#include "snapshot/standstill.h"

#include <gtest/gtest.h>

#include "support/scripted_peer.h"

namespace holdfast::host::snapshot {
namespace {

using base::Deadline;
using base::ErrorCode;
using base::Json;
using base::Millis;
using namespace support;

class Standstill : public ::testing::Test {
 protected:
  static Deadline soon() { return Deadline::in(Millis(5000)); }
  static Exchange status(const char* word) {
    return returns("query-status", {{"status", word}, {"running", false}});
  }
  static base::Result<bool> go_on_after(std::vector<Exchange> script) {
    script.insert(script.begin(), returns("qmp_capabilities", Json::object()));
    ScriptedPeer peer(kQmpGreeting, std::move(script));
    auto client = qmp::Client::connect(peer.path(), soon(), {});
    EXPECT_TRUE(client);
    auto done = go_on(*client, soon());
    EXPECT_EQ(peer.finish(), "");
    return done;
  }
};

TEST_F(Standstill, LetsAPausedMachineGoOn) {
  const auto done = go_on_after({status("paused"), returns("cont", Json::object())});
  ASSERT_TRUE(done);
  EXPECT_TRUE(*done);
}

TEST_F(Standstill, LeavesAMachineAloneThatIsAnythingElse) {
  for (const char* word : {"running", "prelaunch", "shutdown", "io-error", "inmigrate"}) {
    const auto done = go_on_after({status(word)});
    ASSERT_TRUE(done) << word;
    EXPECT_FALSE(*done) << word;
  }
}

}  // namespace
}  // namespace holdfast::host::snapshot
