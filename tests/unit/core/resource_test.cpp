// SPDX-License-Identifier: MIT
#include "core/resource.h"

#include <gtest/gtest.h>

#include "base/process_runner.h"
#include "support/call_log.h"
#include "support/fake_clock.h"
#include "support/fake_plugin.h"

namespace holdfast::core {
namespace {

using support::FakeCall;
using support::FakeEnding;
using namespace std::chrono_literals;

class ResourceTest : public ::testing::Test {
 protected:
  ~ResourceTest() override { server_->unstick(); }

  void await(const std::function<bool()>& condition) {
    ASSERT_TRUE(bell_.wait_until(std::chrono::steady_clock::now() + 10s, condition));
  }
  void await_health(Resource::Health health) {
    await([&] { return resource_.view().health == health; });
  }
  [[nodiscard]] base::Result<void> outcome() {
    await([&] { return resource_.finished(); });
    return resource_.outcome();
  }

  support::CallLog calls_;
  base::SystemClock clock_;
  Bell bell_;
  base::SystemProcessRunner processes_;
  std::shared_ptr<support::FakeServer> server_ =
      std::make_shared<support::FakeServer>("fake:a", calls_);
  Resource resource_{{"fake:a", "fake", true, 0},
                     std::make_unique<support::FakePlugin>("fake:a", server_, processes_),
                     clock_,
                     bell_,
                     [this] { bell_.ring(); }};
};

TEST_F(ResourceTest, ProbesByItselfAndIsReady) {
  resource_.start();
  await_health(Resource::Health::kReady);
  EXPECT_EQ(resource_.view().report.identity.engine, "Fake");
}

TEST_F(ResourceTest, SaysWhyItIsNotReadyAndTriesAgain) {
  server_->script(FakeCall::kProbe, FakeEnding::kFail);
  resource_.start();
  await_health(Resource::Health::kUnready);
  EXPECT_EQ(resource_.view().problem->one_line(),
            "unable to probe 'fake:a': access denied (grant it)");
  server_->script(FakeCall::kProbe, FakeEnding::kSucceed);
  await_health(Resource::Health::kReady);
  EXPECT_FALSE(resource_.view().problem);
}

TEST_F(ResourceTest, SurvivesAPluginThatThrowsInProbe) {
  server_->script(FakeCall::kProbe, FakeEnding::kThrowOther);
  resource_.start();
  await_health(Resource::Health::kUnready);
  EXPECT_EQ(resource_.view().problem->text(),
            "plugin of 'fake:a' threw an unknown exception in probe()");
}

TEST_F(ResourceTest, ReconnectsWhenTheIdleSessionCloses) {
  resource_.start();
  await_health(Resource::Health::kReady);
  server_->close_session();
  await([&] { return calls_.count("fake:a probe") >= 2 && server_->is_connected(); });
  await_health(Resource::Health::kReady);
}

TEST_F(ResourceTest, DoesNothingWhileNothingHappens) {
  resource_.start();
  await_health(Resource::Health::kReady);
  const auto calls = calls_.calls();
  // A call of its own shows that the thread had nothing else in its queue.
  resource_.begin_probe(base::Deadline::in(5s));
  EXPECT_TRUE(outcome());
  EXPECT_EQ(calls_.calls().size(), calls.size() + 1);
}

TEST_F(ResourceTest, NotesALostHoldAtOnce) {
  resource_.start();
  resource_.begin_prepare({"w"}, base::Deadline::in(5s));
  ASSERT_TRUE(outcome());
  resource_.begin_hold({"w"}, base::Deadline::in(5s));
  ASSERT_TRUE(outcome());
  EXPECT_TRUE(resource_.is_held());
  EXPECT_TRUE(server_->is_locked());
  EXPECT_FALSE(resource_.lost_at());
  server_->close_session();
  await_health(Resource::Health::kLost);
  EXPECT_TRUE(resource_.lost_at());
  resource_.begin_let_go(base::Deadline::in(5s), Resource::Disks::kThawed);
  EXPECT_TRUE(outcome());
  EXPECT_FALSE(resource_.is_in_window());
}

TEST_F(ResourceTest, DoesNotReconnectWithinAWindow) {
  resource_.start();
  resource_.begin_prepare({"w"}, base::Deadline::in(5s));
  ASSERT_TRUE(outcome());
  const std::size_t probes = calls_.count("fake:a probe");
  server_->close_session();
  resource_.begin_check(base::Deadline::in(50ms));
  EXPECT_FALSE(outcome());
  EXPECT_EQ(calls_.count("fake:a probe"), probes);
}

TEST_F(ResourceTest, ReleasesWhatIsHeldWhenItIsDestroyed) {
  auto server = std::make_shared<support::FakeServer>("fake:b", calls_);
  {
    Resource resource({"fake:b", "fake", true, 0},
                      std::make_unique<support::FakePlugin>("fake:b", server, processes_), clock_,
                      bell_, [] {});
    resource.start();
    resource.begin_prepare({"w"}, base::Deadline::in(5s));
    await([&] { return resource.finished(); });
    resource.begin_hold({"w"}, base::Deadline::in(5s));
    await([&] { return resource.finished(); });
    EXPECT_TRUE(server->is_locked());
  }
  EXPECT_FALSE(server->is_locked());
}

TEST_F(ResourceTest, IsOverdueWhenACallOutlivesItsDeadline) {
  server_->script(FakeCall::kPrepare, FakeEnding::kStuck);
  resource_.start();
  await_health(Resource::Health::kReady);
  EXPECT_FALSE(resource_.overdue(0ms));
  resource_.begin_prepare({"w"}, base::Deadline::in(0ms));
  await([&] { return calls_.count("fake:a prepare") == 1; });
  EXPECT_TRUE(resource_.overdue(0ms));
  EXPECT_FALSE(resource_.overdue(1h));
  server_->unstick();
  EXPECT_FALSE(outcome());
  EXPECT_FALSE(resource_.overdue(0ms));
}

TEST_F(ResourceTest, RefusesTwoCallsAtOnce) {
  server_->script(FakeCall::kPrepare, FakeEnding::kHang);
  resource_.start();
  resource_.begin_prepare({"w"}, base::Deadline::in(5s));
  EXPECT_THROW(resource_.begin_prepare({"w"}, base::Deadline::in(5s)), std::logic_error);
  resource_.cancel();
  EXPECT_EQ(outcome().error().code(), base::ErrorCode::kCancelled);
}

}  // namespace
}  // namespace holdfast::core
