// SPDX-License-Identifier: MIT
//
// A coordinator amid fakes: any number of servers, filesystems in memory, a journal in a directory
// of the test's own. Its time-outs are short where a server hangs, since they are waited for; else
// so long that nothing but a deadlock meets them, however busy machine and disk are.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/process_runner.h"
#include "core/coordinator.h"
#include "support/call_log.h"
#include "support/fake_clock.h"
#include "support/fake_dead_man.h"
#include "support/fake_fs_freezer.h"
#include "support/fake_plugin.h"
#include "support/fake_thaw_watch.h"
#include "support/temporary_directory.h"

namespace holdfast::core {

class CoordinatorStage {
 public:
  static constexpr base::Millis kHurried{500};
  static constexpr base::Millis kUnhurried{30'000};
  static constexpr base::Millis kMaxHold{60'000};
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  static constexpr int kSlowness = 4;
#else
  static constexpr int kSlowness = 1;
#endif
  // Longer than a busy machine keeps a thread from running.
  static constexpr base::Millis kGrace{150 * kSlowness};
  // Nothing may take longer, whatever hangs.
  static constexpr base::Millis kLongest{3000 * kSlowness};

  struct Times {
    base::Millis freeze;
    base::Millis thaw;
    base::Millis grace;
  };

  CoordinatorStage() : CoordinatorStage(std::nullopt) {}
  explicit CoordinatorStage(std::optional<Times> times);
  CoordinatorStage(const CoordinatorStage&) = delete;
  CoordinatorStage& operator=(const CoordinatorStage&) = delete;
  ~CoordinatorStage();

  // Adds the server "fake:NAME"; before the first call of coordinator().
  support::FakeServer& add(const std::string& name, bool required = true, std::int64_t order = 0);
  // Although a server hangs: something else is to end it. Before the first call of coordinator().
  void do_not_hurry() {
    times_ = kPatient;
  }
  // Made when first asked for, with all resources ready.
  Coordinator& coordinator();
  // Ends it as a crash would, without a word, and begins anew on the same directories.
  void crash();

  [[nodiscard]] base::Result<void> freeze() {
    return coordinator().freeze({});
  }
  [[nodiscard]] base::Result<void> thaw();
  // The error's code and text, or "ok".
  [[nodiscard]] static std::string said(const base::Result<void>& result);
  [[nodiscard]] std::vector<std::string> locked() const;
  // What the host would fetch.
  [[nodiscard]] base::Json last_record() const;
  [[nodiscard]] base::Json disk_record() const;
  [[nodiscard]] bool marker_exists() const;
  // Waits until this is so, at most ten seconds.
  template <typename Condition>
  void await(Condition condition) {
    ASSERT_TRUE(bell_.wait_until(std::chrono::steady_clock::now() + std::chrono::seconds(10),
                                 [&] { return condition(); }));
  }
  [[nodiscard]] std::string state_of(const std::string& resource);

  support::TemporaryDirectory directory_;
  support::FakeClock clock_;
  support::CallLog calls_;
  support::FakeFsFreezer filesystems_{calls_};
  support::FakeDeadMan dead_man_{calls_};
  support::FakeThawWatch thaw_watch_;
  std::vector<std::shared_ptr<support::FakeServer>> servers_;

 private:
  struct Plan {
    Resource::Traits traits;
    std::shared_ptr<support::FakeServer> server;
  };

  static constexpr Times kPatient{kUnhurried, kUnhurried, kGrace};

  std::optional<Times> times_;
  base::SystemProcessRunner processes_;
  Bell bell_;
  std::vector<Plan> plans_;
  std::shared_ptr<LogRing> ring_;
  std::unique_ptr<spdlog::logger> log_;
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<Coordinator> coordinator_;
};

class CoordinatorTest : public ::testing::Test, public CoordinatorStage {};

}  // namespace holdfast::core
