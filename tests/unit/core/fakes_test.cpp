// SPDX-License-Identifier: MIT
//
// Fakes with a memory can be wrong like anything else.
#include <gtest/gtest.h>
#include <poll.h>

#include <thread>

#include "base/process_runner.h"
#include "support/call_log.h"
#include "support/fake_clock.h"
#include "support/fake_dead_man.h"
#include "support/fake_fs_freezer.h"
#include "support/fake_plugin.h"

namespace holdfast::support {
namespace {

using base::Deadline;
using base::ErrorCode;
using namespace std::chrono_literals;

TEST(FakeClockTest, MovesBothFacesWhenToldTo) {
  FakeClock clock;
  const auto mono = clock.now();
  const auto wall = clock.wall();
  EXPECT_EQ(clock.now(), mono);
  clock.advance(3s);
  EXPECT_EQ(clock.now() - mono, 3s);
  EXPECT_EQ(clock.wall() - wall, 3s);
}

TEST(FakeDeadManTest, RemembersForWhenItIsArmed) {
  CallLog log;
  FakeDeadMan dead_man(log);
  EXPECT_FALSE(dead_man.armed());
  dead_man.arm(base::MonoTime(5s));
  EXPECT_EQ(dead_man.armed(), base::MonoTime(5s));
  dead_man.disarm();
  EXPECT_FALSE(dead_man.armed());
  EXPECT_EQ(log.calls(), (std::vector<std::string>{"dead-man arm", "dead-man disarm"}));
}

TEST(FakeFsFreezerTest, FlushesAndThawsOnlyAnArmedSet) {
  CallLog log;
  FakeFsFreezer fs(log);
  const Deadline deadline = Deadline::in(1s);
  EXPECT_FALSE(fs.sync(deadline));
  EXPECT_FALSE(fs.thaw(deadline));
  EXPECT_FALSE(fs.extend(1s, deadline));
  ASSERT_TRUE(fs.arm({"/a"}, 1s, deadline));
  EXPECT_TRUE(fs.is_armed());
  fs.freeze();
  EXPECT_TRUE(fs.thaw(deadline));
  EXPECT_FALSE(fs.is_frozen());
  EXPECT_TRUE(fs.disarm(deadline));
  EXPECT_FALSE(fs.is_armed());
}

TEST(FakeFsFreezerTest, FailsWhatItWasToldTo) {
  CallLog log;
  FakeFsFreezer fs(log);
  fs.fail("arm");
  EXPECT_EQ(fs.arm({"/a"}, 1s, Deadline::in(1s)).error().text(),
            "unable to arm '/fake': Input/output error");
  EXPECT_FALSE(fs.is_armed());
  fs.mend();
  EXPECT_TRUE(fs.arm({"/a"}, 1s, Deadline::in(1s)));
}

class FakePluginTest : public ::testing::Test {
 protected:
  [[nodiscard]] static Deadline soon() { return Deadline::in(5s); }
  [[nodiscard]] bool hung_up() const {
    pollfd watched{plugin_.watch_fd(), POLLIN | POLLRDHUP, 0};
    return ::poll(&watched, 1, 0) > 0;
  }

  CallLog log_;
  base::SystemProcessRunner processes_;
  std::shared_ptr<FakeServer> server_ = std::make_shared<FakeServer>("s", log_);
  FakePlugin plugin_{"s", server_, processes_};
};

TEST_F(FakePluginTest, LocksFromHoldToRelease) {
  ASSERT_TRUE(plugin_.probe(soon(), {}));
  EXPECT_TRUE(server_->is_connected());
  EXPECT_FALSE(hung_up());
  ASSERT_TRUE(plugin_.prepare({"w"}, soon(), {}));
  EXPECT_FALSE(server_->is_locked());
  auto hold = plugin_.hold({"w"}, soon(), {});
  ASSERT_TRUE(hold);
  EXPECT_TRUE(server_->is_locked());
  EXPECT_EQ(*(*hold)->check(soon()), (*hold)->position());
  EXPECT_TRUE((*hold)->release(soon()));
  EXPECT_FALSE(server_->is_locked());
  EXPECT_EQ(log_.calls(),
            (std::vector<std::string>{"s probe", "s prepare", "s hold", "s check", "s release"}));
}

TEST_F(FakePluginTest, LosesTheLockWithTheSession) {
  ASSERT_TRUE(plugin_.probe(soon(), {}));
  auto hold = plugin_.hold({"w"}, soon(), {});
  ASSERT_TRUE(hold);
  server_->close_session();
  EXPECT_FALSE(server_->is_locked());
  EXPECT_TRUE(hung_up());
  EXPECT_EQ((*hold)->check(soon()).error().code(), ErrorCode::kHoldLost);
}

TEST_F(FakePluginTest, HoldsNothingWithoutASession) {
  EXPECT_EQ(plugin_.hold({"w"}, soon(), {}).error().code(), ErrorCode::kUnreachable);
  ASSERT_TRUE(plugin_.probe(soon(), {}));
  server_->close_session();
  EXPECT_EQ(plugin_.hold({"w"}, soon(), {}).error().text(), "the session of 's' has gone");
  EXPECT_FALSE(server_->is_locked());
  ASSERT_TRUE(plugin_.probe(soon(), {}));
  EXPECT_TRUE(plugin_.hold({"w"}, soon(), {}));
}

TEST_F(FakePluginTest, ReleasesInTheDestructorOfTheHold) {
  ASSERT_TRUE(plugin_.probe(soon(), {}));
  { ASSERT_TRUE(plugin_.hold({"w"}, soon(), {})); }
  EXPECT_FALSE(server_->is_locked());
}

TEST_F(FakePluginTest, EndsEachCallAsItWasToldTo) {
  ASSERT_TRUE(plugin_.probe(soon(), {}));
  server_->script(FakeCall::kPrepare, FakeEnding::kFail);
  EXPECT_EQ(plugin_.prepare({"w"}, soon(), {}).error().code(), ErrorCode::kRefused);
  server_->script(FakeCall::kPrepare, FakeEnding::kMisconfigure);
  EXPECT_EQ(plugin_.prepare({"w"}, soon(), {}).error().code(), ErrorCode::kMisconfigured);
  server_->script(FakeCall::kPrepare, FakeEnding::kThrow);
  EXPECT_THROW((void)plugin_.prepare({"w"}, soon(), {}), std::runtime_error);
  server_->script(FakeCall::kPrepare, FakeEnding::kThrowOther);
  EXPECT_THROW((void)plugin_.prepare({"w"}, soon(), {}), int);
  server_->script(FakeCall::kPrepare, FakeEnding::kHang);
  EXPECT_EQ(plugin_.prepare({"w"}, Deadline::in(10ms), {}).error().code(), ErrorCode::kTimedOut);
  std::stop_source stop;
  (void)stop.request_stop();
  EXPECT_EQ(plugin_.prepare({"w"}, soon(), stop.get_token()).error().code(), ErrorCode::kCancelled);
  ASSERT_TRUE(plugin_.probe(soon(), {}));
  server_->script(FakeCall::kHold, FakeEnding::kNothing);
  EXPECT_EQ(*plugin_.hold({"w"}, soon(), {}), nullptr);
  EXPECT_FALSE(server_->is_locked());
  server_->script(FakeCall::kHold, FakeEnding::kLie);
  EXPECT_TRUE(plugin_.hold({"w"}, soon(), {}));
  EXPECT_FALSE(server_->is_locked());
}

TEST_F(FakePluginTest, HangsHardUntilItIsInterrupted) {
  server_->script(FakeCall::kPrepare, FakeEnding::kHangHard);
  std::atomic<bool> returned = false;
  std::jthread caller([&] {
    (void)plugin_.prepare({"w"}, Deadline::in(0ms), {});
    returned = true;
  });
  while (log_.count("s prepare") == 0)
    std::this_thread::yield();
  EXPECT_FALSE(returned);
  // Repeated: the call may not have begun to wait yet.
  while (!returned)
    plugin_.interrupt();
}

TEST_F(FakePluginTest, IsStuckUntilItIsUnstuck) {
  server_->script(FakeCall::kPrepare, FakeEnding::kStuck);
  std::atomic<bool> returned = false;
  std::jthread caller([&] {
    (void)plugin_.prepare({"w"}, Deadline::in(0ms), {});
    returned = true;
  });
  while (log_.count("s prepare") == 0)
    std::this_thread::yield();
  for (int i = 0; i < 100; ++i)
    plugin_.interrupt();
  EXPECT_FALSE(returned);
  server_->unstick();
}

}  // namespace
}  // namespace holdfast::support
