// SPDX-License-Identifier: MIT
//
// What agent/api/plugin.h and hold.h promise, asked of every implementation alike.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <thread>

#include "base/scope_guard.h"
#include "contract/contract.h"

namespace holdfast::contract {
namespace {

using base::Deadline;
using base::ErrorCode;
using base::Millis;
using std::chrono::steady_clock;

// "Soon": 100 ms by the contract, and the rest for a busy test machine.
constexpr Millis kSoon{300};
constexpr Millis kPlenty{20000};

class PluginContract : public ::testing::TestWithParam<Implementation> {
 protected:
  void SetUp() override {
    subject_ = GetParam().make();
    plugin_ = configured();
  }

  void TearDown() override {
    plugin_.reset();
    if (!subject_) return;
    EXPECT_TRUE(subject_->others_can_write()) << "something is still locked";
  }

  std::unique_ptr<api::Plugin> configured() {
    auto plugin = subject_->make();
    for (const base::Setting& setting : subject_->settings()) {
      const auto done = plugin->configure(setting);
      if (!done) throw std::runtime_error(done.error().one_line());
    }
    const auto complete = plugin->finish_config("test.conf");
    if (!complete) throw std::runtime_error(complete.error().one_line());
    return plugin;
  }

  static Deadline plenty() { return Deadline::in(kPlenty); }

  api::Identity probe() {
    auto report = plugin_->probe(plenty(), {});
    if (!report) throw std::runtime_error(report.error().one_line());
    return report->identity;
  }

  std::unique_ptr<api::Hold> take_hold() {
    auto prepared = plugin_->prepare(window_, plenty(), {});
    if (!prepared) throw std::runtime_error(prepared.error().one_line());
    auto hold = plugin_->hold(window_, plenty(), {});
    if (!hold) throw std::runtime_error(hold.error().one_line());
    return std::move(*hold);
  }

  // prepare() and hold() under one deadline; the error of the one that failed.
  std::optional<base::Error> try_window(Deadline deadline, const std::stop_token& stop) {
    auto prepared = plugin_->prepare(window_, deadline, stop);
    if (!prepared) return prepared.error();
    auto hold = plugin_->hold(window_, deadline, stop);
    if (hold) return std::nullopt;
    plugin_->rollback(Deadline::in(Millis(1000)));
    return hold.error();
  }

  static bool shows_loss(int fd, Millis within) {
    pollfd watched{fd, POLLIN | POLLRDHUP, 0};
    return ::poll(&watched, 1, static_cast<int>(within.count())) > 0;
  }

  void expect_whole_window_works() {
    auto hold = take_hold();
    EXPECT_TRUE(hold->check(plenty()));
    EXPECT_TRUE(hold->release(plenty()));
  }

  api::Window window_{"5f2c7c1e-9d5c-4a5e-8a55-0d8c1c1f0a11", Millis(60000)};
  std::unique_ptr<Subject> subject_;
  std::unique_ptr<api::Plugin> plugin_;
};

TEST_P(PluginContract, RefusesAnUnknownKeyAndNamesItsOrigin) {
  const auto refused = subject_->make()->configure({"no-such-key", "1", "x.conf:3"});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kConfiguration);
  EXPECT_THAT(refused.error().text(), ::testing::HasSubstr("x.conf:3"));
  EXPECT_THAT(refused.error().text(), ::testing::HasSubstr("no-such-key"));
}

TEST_P(PluginContract, RefusesARepeatedKey) {
  if (subject_->settings().empty()) return;
  auto plugin = subject_->make();
  base::Setting setting = subject_->settings().front();
  ASSERT_TRUE(plugin->configure(setting));
  setting.origin = "x.conf:9";
  const auto refused = plugin->configure(setting);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kConfiguration);
  EXPECT_THAT(refused.error().text(), ::testing::HasSubstr("x.conf:9"));
}

TEST_P(PluginContract, RefusesValuesOfTheWrongType) {
  for (const base::OptionSpec& spec : subject_->make()->option_table()) {
    if (spec.type == base::OptionType::kText) continue;
    const auto refused = subject_->make()->configure({spec.name, "not-one", "x.conf:1"});
    ASSERT_FALSE(refused) << spec.name;
    EXPECT_EQ(refused.error().code(), ErrorCode::kConfiguration) << spec.name;
  }
}

TEST_P(PluginContract, PrintsEverySettingThatItHas) {
  const std::string printed = plugin_->print_config();
  for (const base::OptionSpec& spec : plugin_->option_table())
    EXPECT_THAT(printed, ::testing::HasSubstr(spec.name));
}

TEST_P(PluginContract, ProbeMayBeRepeatedAndKeepsTheSession) {
  const api::Identity first = probe();
  const api::Identity second = probe();
  EXPECT_FALSE(first.engine.empty());
  EXPECT_EQ(first.session_id, second.session_id);
  EXPECT_EQ(first.server_uuid, second.server_uuid);
}

TEST_P(PluginContract, ProbeHoldsNothing) {
  (void)probe();
  EXPECT_TRUE(subject_->others_can_write());
}

TEST_P(PluginContract, PrepareHoldsNothing) {
  (void)probe();
  ASSERT_TRUE(plugin_->prepare(window_, plenty(), {}));
  EXPECT_TRUE(subject_->others_can_write());
  plugin_->rollback(plenty());
}

TEST_P(PluginContract, AHoldIsConfirmedByCheckAsOftenAsAsked) {
  const api::Identity prober = probe();
  const auto hold = take_hold();
  EXPECT_EQ(hold->identity().engine, prober.engine);
  EXPECT_EQ(hold->identity().session_id, prober.session_id);
  EXPECT_EQ(subject_->others_can_write(), !subject_->holds_writers());
  for (int i = 0; i < 3; ++i) {
    const auto checked = hold->check(plenty());
    ASSERT_TRUE(checked) << checked.error().one_line();
    EXPECT_EQ(checked->size(), hold->position().size());
    if (subject_->holds_writers()) {
      EXPECT_EQ(*checked, hold->position());
    }
  }
  EXPECT_FALSE(shows_loss(hold->watch_fd(), Millis(0)));
  EXPECT_TRUE(hold->release(plenty()));
  EXPECT_TRUE(subject_->others_can_write());
}

TEST_P(PluginContract, ASecondReleaseSucceedsAndDoesNothing) {
  (void)probe();
  const auto hold = take_hold();
  EXPECT_TRUE(hold->release(plenty()));
  EXPECT_TRUE(hold->release(plenty()));
}

TEST_P(PluginContract, AnAbandonedHoldIsReleased) {
  (void)probe();
  const auto hold = take_hold();
  EXPECT_TRUE(hold->abandon(plenty()));
  EXPECT_TRUE(subject_->others_can_write());
  EXPECT_TRUE(hold->release(plenty()));
  EXPECT_FALSE(hold->check(plenty()));
}

TEST_P(PluginContract, AReleasedHoldIsNotConfirmedAnyMore) {
  (void)probe();
  const auto hold = take_hold();
  ASSERT_TRUE(hold->release(plenty()));
  const auto checked = hold->check(plenty());
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code(), ErrorCode::kHoldLost);
}

TEST_P(PluginContract, TheDestructorOfAHoldReleases) {
  (void)probe();
  take_hold().reset();
  EXPECT_TRUE(subject_->others_can_write());
  (void)probe();
  expect_whole_window_works();
}

TEST_P(PluginContract, TheDestructorOfThePluginReleases) {
  (void)probe();
  ASSERT_TRUE(plugin_->prepare(window_, plenty(), {}));
  plugin_.reset();
  EXPECT_TRUE(subject_->others_can_write());
}

TEST_P(PluginContract, WindowsFollowEachOther) {
  const api::Identity before = probe();
  for (int i = 0; i < 3; ++i)
    expect_whole_window_works();
  EXPECT_EQ(probe().session_id, before.session_id);
}

TEST_P(PluginContract, RollbackUndoesPrepareAndMayBeRepeated) {
  (void)probe();
  ASSERT_TRUE(plugin_->prepare(window_, plenty(), {}));
  plugin_->rollback(plenty());
  plugin_->rollback(plenty());
  EXPECT_TRUE(subject_->others_can_write());
  expect_whole_window_works();
}

TEST_P(PluginContract, RollbackWithoutPrepareDoesNothing) {
  const api::Identity before = probe();
  plugin_->rollback(plenty());
  EXPECT_EQ(probe().session_id, before.session_id);
}

TEST_P(PluginContract, AnEndedSessionIsALostHold) {
  if (!subject_->can_end_session()) return;
  (void)probe();
  const auto hold = take_hold();
  subject_->end_session(hold->identity());
  EXPECT_TRUE(shows_loss(hold->watch_fd(), Millis(2000)));
  const auto checked = hold->check(plenty());
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code(), ErrorCode::kHoldLost);
  EXPECT_THAT(checked.error().text(), ::testing::HasSubstr(plugin_->context().resource));
  EXPECT_TRUE(hold->release(plenty())) << "nothing is left to be released";
  EXPECT_TRUE(subject_->others_can_write());
}

TEST_P(PluginContract, AHoldIsNeverTakenAgainAfterItsSessionEnded) {
  if (!subject_->can_end_session()) return;
  (void)probe();
  const auto hold = take_hold();
  subject_->end_session(hold->identity());
  ASSERT_TRUE(shows_loss(hold->watch_fd(), Millis(2000)));
  ASSERT_FALSE(hold->check(plenty()));
  EXPECT_FALSE(hold->check(plenty())) << "the second look found it again";
  if (!subject_->lock_ends_with_session()) {
    EXPECT_TRUE(hold->release(plenty()));
  }
  EXPECT_TRUE(subject_->others_can_write());
}

TEST_P(PluginContract, AnIdleSessionThatEndsIsSeenAndReplaced) {
  if (!subject_->can_end_session()) return;
  const api::Identity first = probe();
  subject_->end_session(first);
  EXPECT_TRUE(shows_loss(plugin_->watch_fd(), Millis(2000)));
  EXPECT_NE(probe().session_id, first.session_id);
  expect_whole_window_works();
}

TEST_P(PluginContract, TheDeadlineEndsAWait) {
  if (!subject_->can_block()) return;
  (void)probe();
  subject_->block();
  base::ScopeGuard unblock([&] { subject_->unblock(); });
  const auto start = steady_clock::now();
  const auto failure = try_window(Deadline::in(Millis(400)), {});
  EXPECT_LT(steady_clock::now() - start, Millis(400) + kSoon);
  ASSERT_TRUE(failure);
  EXPECT_NE(failure->text(), "");
  unblock.dismiss();
  subject_->unblock();
  EXPECT_TRUE(subject_->others_can_write());
  (void)probe();
  expect_whole_window_works();
}

TEST_P(PluginContract, AStopRequestEndsAWait) {
  if (!subject_->can_block()) return;
  (void)probe();
  subject_->block();
  const base::ScopeGuard unblock([&] { subject_->unblock(); });
  std::stop_source source;
  steady_clock::time_point stopped;
  std::jthread stopper([&] {
    std::this_thread::sleep_for(Millis(200));  // so that the call is waiting by then
    stopped = steady_clock::now();
    source.request_stop();
  });
  const auto failure = try_window(plenty(), source.get_token());
  const auto ended = steady_clock::now();
  stopper.join();
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->code(), ErrorCode::kCancelled) << failure->one_line();
  EXPECT_LT(ended - stopped, kSoon);
}

TEST_P(PluginContract, AnInterruptEndsAWait) {
  if (!subject_->can_block()) return;
  (void)probe();
  subject_->block();
  const base::ScopeGuard unblock([&] { subject_->unblock(); });
  steady_clock::time_point interrupted;
  std::jthread interrupter([&] {
    std::this_thread::sleep_for(Millis(200));  // so that the call is waiting by then
    interrupted = steady_clock::now();
    plugin_->interrupt();
  });
  const auto failure = try_window(plenty(), {});
  const auto ended = steady_clock::now();
  interrupter.join();
  ASSERT_TRUE(failure);
  EXPECT_LT(ended - interrupted, kSoon);
}

TEST_P(PluginContract, AnInterruptDuringAHoldLosesIt) {
  if (!subject_->can_end_session()) return;
  (void)probe();
  const auto hold = take_hold();
  plugin_->interrupt();
  const auto checked = hold->check(plenty());
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code(), ErrorCode::kHoldLost);
  (void)hold->release(plenty());
  EXPECT_TRUE(subject_->others_can_write());
  (void)probe();
  expect_whole_window_works();
}

TEST_P(PluginContract, AnEngineThatStopsAnsweringIsGivenUpInTime) {
  if (!subject_->can_pause()) return;
  (void)probe();
  {
    subject_->pause();
    const base::ScopeGuard resume([&] { subject_->resume(); });
    const auto start = steady_clock::now();
    EXPECT_TRUE(try_window(Deadline::in(Millis(300)), {}));
    EXPECT_LT(steady_clock::now() - start, Millis(300) + kSoon);
    const auto again = steady_clock::now();
    EXPECT_FALSE(plugin_->probe(Deadline::in(Millis(300)), {}));
    EXPECT_LT(steady_clock::now() - again, Millis(300) + kSoon);
  }
  EXPECT_TRUE(subject_->others_can_write());
  (void)probe();
  expect_whole_window_works();
}

TEST_P(PluginContract, ACheckAndAReleaseEndByTheirDeadlines) {
  if (!subject_->can_pause()) return;
  (void)probe();
  const auto hold = take_hold();
  {
    subject_->pause();
    const base::ScopeGuard resume([&] { subject_->resume(); });
    auto start = steady_clock::now();
    const auto checked = hold->check(Deadline::in(Millis(200)));
    EXPECT_LT(steady_clock::now() - start, Millis(200) + kSoon);
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().code(), ErrorCode::kHoldLost) << "not shown is not held";
    start = steady_clock::now();
    (void)hold->release(Deadline::in(Millis(200)));
    EXPECT_LT(steady_clock::now() - start, Millis(200) + kSoon);
  }
  EXPECT_TRUE(subject_->others_can_write());
}

TEST_P(PluginContract, AReleaseThatFailsClosesTheSession) {
  if (!subject_->can_pause()) return;
  (void)probe();
  const auto hold = take_hold();
  {
    subject_->pause();
    const base::ScopeGuard resume([&] { subject_->resume(); });
    (void)hold->release(Deadline::in(Millis(200)));
    EXPECT_TRUE(hold->release(Deadline::in(Millis(200)))) << "later calls do nothing";
  }
  EXPECT_TRUE(subject_->others_can_write());
}

TEST_P(PluginContract, AStopThatWasRequestedBeforehandHoldsNothing) {
  (void)probe();
  std::stop_source source;
  source.request_stop();
  const auto start = steady_clock::now();
  const auto failure = try_window(plenty(), source.get_token());
  EXPECT_LT(steady_clock::now() - start, kSoon);
  // What never had to wait may have succeeded; the hold is released again then.
  if (failure) {
    EXPECT_EQ(failure->code(), ErrorCode::kCancelled) << failure->one_line();
  }
  EXPECT_TRUE(subject_->others_can_write());
}

std::string name_of(const ::testing::TestParamInfo<Implementation>& info) {
  return info.param.name;
}

INSTANTIATE_TEST_SUITE_P(Every, PluginContract, ::testing::ValuesIn(registry()), name_of);

}  // namespace

// gtest would else print the bytes of the functions.
// NOLINTNEXTLINE(readability-identifier-naming): the name that gtest looks for
void PrintTo(const Implementation& implementation, std::ostream* out) {
  *out << implementation.name;
}

}  // namespace holdfast::contract
