// SPDX-License-Identifier: MIT
#include "daemon/sequencer.h"

#include <gtest/gtest.h>
#include <spdlog/sinks/null_sink.h>

#include "base/process_runner.h"
#include "support/call_log.h"
#include "support/fake_dead_man.h"
#include "support/fake_fs_freezer.h"
#include "support/fake_plugin.h"
#include "support/fake_thaw_watch.h"
#include "support/temporary_directory.h"

namespace holdfast::daemon {
namespace {

using base::Verb;
using support::FakeCall;
using support::FakeEnding;
using namespace std::chrono_literals;

class SequencerTest : public ::testing::Test {
 protected:
  SequencerTest() {
    EXPECT_TRUE(journal_.open());
    core::Resources resources;
    resources.push_back(std::make_unique<core::Resource>(
        core::Resource::Traits{"fake:a", "fake", true, 0},
        std::make_unique<support::FakePlugin>("fake:a", server_, processes_), clock_, bell_,
        [] {}));
    coordinator_ = std::make_unique<core::Coordinator>(
        core::CoordinatorSettings{20s, 5s, 60s, {"/fake"}, false, {}},
        core::CoordinatorWorld{clock_, filesystems_, dead_man_, journal_, bell_, log_, *ring_,
                               thaw_watch_},
        std::move(resources));
    sequencer_ = std::make_unique<Sequencer>(*coordinator_, journal_, loop_, 1min, [] {});
    loop_.at(std::chrono::steady_clock::now() + 30s, [this] { loop_.quit(1); });
  }

  // Notes the answer as "NAME STATUS", and ends the loop with the last of `expected` answers.
  Sequencer::Answer note(const std::string& name) {
    return [this, name](const base::ReplyLine& reply, const std::string& document) {
      answers_.push_back(name + " " + reply.name);
      texts_.push_back(reply.text);
      document_ = document;
      if (answers_.size() == expected_) loop_.quit(0);
    };
  }
  void run(std::size_t expected) {
    expected_ = expected;
    if (answers_.size() < expected_) {
      EXPECT_EQ(loop_.run(), 0);
    }
  }
  void await_call(const std::string& call) {
    while (calls_.count(call) == 0)
      std::this_thread::yield();
  }

  support::TemporaryDirectory directory_;
  base::SystemClock clock_;
  base::SystemProcessRunner processes_;
  support::CallLog calls_;
  support::FakeFsFreezer filesystems_{calls_};
  support::FakeDeadMan dead_man_{calls_};
  support::FakeThawWatch thaw_watch_;
  std::shared_ptr<support::FakeServer> server_ =
      std::make_shared<support::FakeServer>("fake:a", calls_);
  core::Bell bell_;
  std::shared_ptr<core::LogRing> ring_ =
      std::make_shared<core::LogRing>(std::make_shared<spdlog::sinks::null_sink_mt>());
  spdlog::logger log_{"test", ring_};
  core::Journal journal_{directory_.file("state"), directory_.file("run"), 20};
  EventLoop loop_;
  std::unique_ptr<core::Coordinator> coordinator_;
  std::unique_ptr<Sequencer> sequencer_;
  std::vector<std::string> answers_;
  std::vector<std::string> texts_;
  std::string document_;
  std::size_t expected_ = 0;
};

using Answers = std::vector<std::string>;

TEST_F(SequencerTest, AnswersOneAfterTheOther) {
  sequencer_->submit(Verb::kFreeze, note("freeze"));
  sequencer_->submit(Verb::kThaw, note("thaw"));
  sequencer_->submit(Verb::kReport, note("report"));
  run(3);
  // The thaw may have come in time to give the freeze up, but it never overtakes it.
  EXPECT_TRUE(answers_ == (Answers{"freeze ok", "thaw ok", "report ok"}) ||
              answers_ == (Answers{"freeze hold-failed", "thaw ok", "report ok"}));
  EXPECT_FALSE(server_->is_locked());
  EXPECT_TRUE(document_.starts_with("{\"records\":"));
}

TEST_F(SequencerTest, RefusesAFreezeDuringAFreezeAndDoesNotTouchTheFirst) {
  server_->script(FakeCall::kHold, FakeEnding::kHang);
  const std::stop_source first = sequencer_->submit(Verb::kFreeze, note("first"));
  await_call("fake:a hold");
  sequencer_->submit(Verb::kFreeze, note("second"));
  loop_.post([&] { loop_.quit(0); });
  (void)loop_.run();
  EXPECT_EQ(answers_, (Answers{"second hold-failed"}));
  EXPECT_EQ(texts_.back(), "unable to freeze: another freeze or thaw is in progress");
  EXPECT_FALSE(first.stop_requested());
}

TEST_F(SequencerTest, GivesAFreezeUpForAThaw) {
  server_->script(FakeCall::kHold, FakeEnding::kHang);
  sequencer_->submit(Verb::kFreeze, note("freeze"));
  await_call("fake:a hold");
  sequencer_->submit(Verb::kThaw, note("thaw"));
  run(2);
  EXPECT_EQ(answers_, (Answers{"freeze hold-failed", "thaw ok"}));
}

TEST_F(SequencerTest, LetsACheckGiveWayToAFreeze) {
  server_->script(FakeCall::kProbe, FakeEnding::kHang);
  sequencer_->submit(Verb::kCheck, note("check"));
  await_call("fake:a probe");
  server_->script(FakeCall::kProbe, FakeEnding::kSucceed);
  sequencer_->submit(Verb::kFreeze, note("freeze"));
  run(2);
  EXPECT_EQ(answers_.back(), "freeze ok");
}

TEST_F(SequencerTest, LetsADrillGiveWayToAFreezeThatThenHolds) {
  server_->script(FakeCall::kHold, FakeEnding::kHang);
  sequencer_->submit(Verb::kDrill, note("drill"));
  await_call("fake:a hold");
  server_->script(FakeCall::kHold, FakeEnding::kSucceed);
  sequencer_->submit(Verb::kFreeze, note("freeze"));
  run(2);
  EXPECT_EQ(answers_, (Answers{"drill cancelled", "freeze ok"}));
  EXPECT_TRUE(server_->is_locked());
}

TEST_F(SequencerTest, LetsADrillGiveWayToAThaw) {
  server_->script(FakeCall::kHold, FakeEnding::kHang);
  sequencer_->submit(Verb::kDrill, note("drill"));
  await_call("fake:a hold");
  sequencer_->submit(Verb::kThaw, note("thaw"));
  run(2);
  EXPECT_EQ(answers_, (Answers{"drill cancelled", "thaw ok"}));
  EXPECT_FALSE(server_->is_locked());
}

TEST_F(SequencerTest, LetsADrillThatWaitsForItsTurnGiveWayToAFreeze) {
  server_->script(FakeCall::kHold, FakeEnding::kHang);
  sequencer_->submit(Verb::kDrill, note("first"));
  await_call("fake:a hold");
  sequencer_->submit(Verb::kDrill, note("second"));
  server_->script(FakeCall::kHold, FakeEnding::kSucceed);
  sequencer_->submit(Verb::kFreeze, note("freeze"));
  run(3);
  EXPECT_EQ(answers_, (Answers{"first cancelled", "second cancelled", "freeze ok"}));
}

TEST_F(SequencerTest, AnswersADrillWithItsRecord) {
  sequencer_->submit(Verb::kDrill, note("drill"));
  run(1);
  EXPECT_EQ(answers_, (Answers{"drill ok"}));
  const auto record = base::parse_json(document_);
  ASSERT_TRUE(record);
  EXPECT_EQ((*record)["kind"], "drill");
  EXPECT_FALSE(server_->is_locked());
}

TEST_F(SequencerTest, LetsGoOnAStopAndThenSaysSo) {
  sequencer_->submit(Verb::kFreeze, note("freeze"));
  run(1);
  EXPECT_TRUE(server_->is_locked());
  sequencer_->stop([&] { loop_.quit(0); });
  EXPECT_EQ(loop_.run(), 0);
  EXPECT_EQ(coordinator_->state(), core::State::kInterrupted);
  EXPECT_FALSE(server_->is_locked());
}

TEST_F(SequencerTest, LetsGoOfAFreezeThatNobodyHeardOf) {
  sequencer_->submit(Verb::kFreeze, note("freeze"));
  run(1);
  sequencer_->abandon();
  while (coordinator_->state() != core::State::kInterrupted)
    std::this_thread::yield();
  EXPECT_FALSE(server_->is_locked());
}

TEST_F(SequencerTest, IsNotOverdueWhileItsJobsAreInTime) {
  EXPECT_FALSE(sequencer_->is_overdue());
  sequencer_->submit(Verb::kReport, note("report"));
  run(1);
  EXPECT_FALSE(sequencer_->is_overdue());
}

}  // namespace
}  // namespace holdfast::daemon
