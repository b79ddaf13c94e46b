// SPDX-License-Identifier: MIT
#include <filesystem>
#include <thread>

#include "base/file.h"
#include "coordinator_fixture.h"

namespace holdfast::core {
namespace {

using support::FakeCall;
using support::FakeEnding;
using Names = std::vector<std::string>;

class CoordinatorDrill : public CoordinatorTest {
 protected:
  Drilled drill(const std::stop_token& given_up = {}) {
    Drilled drilled = coordinator().drill(given_up);
    coordinator().settle();
    return drilled;
  }
  [[nodiscard]] bool exists(const std::string& name) const {
    return std::filesystem::exists(directory_.file(name));
  }
};

TEST_F(CoordinatorDrill, TakesTheStepsOfAFreezeAndOfItsThaw) {
  add("a");
  const Drilled drilled = drill();
  ASSERT_EQ(said(drilled.outcome), "ok");
  EXPECT_EQ(calls_.calls(),
            (Names{"dead-man arm", "fs arm", "fake:a prepare", "fs sync", "fake:a hold",
                   "fake:a check", "fake:a release", "dead-man disarm", "fs disarm"}));
  EXPECT_EQ(locked(), Names{});
  EXPECT_EQ(coordinator().state(), State::kIdle);
}

TEST_F(CoordinatorDrill, SaysWhatEachCallTookAndWhereTheResourceStood) {
  add("a");
  const base::Json record = drill().record;
  EXPECT_EQ(record["kind"], "drill");
  EXPECT_EQ(record["state"], "done");
  EXPECT_EQ(record["verdict"]["code"], "ok");
  const base::Json& resource = record["resources"][0];
  EXPECT_EQ(resource["position"]["lsn"], "100");
  for (const char* call : {"prepare", "hold", "check", "release"})
    EXPECT_TRUE(resource["durations_ms"][call].is_number()) << call;
}

TEST_F(CoordinatorDrill, LeavesNothingThatAHostOrAHookOrTheNextDaemonLooksAt) {
  add("a");
  ASSERT_EQ(said(drill().outcome), "ok");
  EXPECT_EQ(last_record(), nullptr);
  EXPECT_EQ(disk_record(), nullptr);
  EXPECT_FALSE(exists("run/window.json"));
  EXPECT_FALSE(exists("run/sequence"));
  EXPECT_TRUE(std::filesystem::is_empty(directory_.file("state/records")));
  EXPECT_TRUE(exists("state/drill.json"));
  EXPECT_EQ(coordinator().status()["last"], nullptr);
  EXPECT_EQ(said(thaw()), "ok");
}

TEST_F(CoordinatorDrill, DoesNotBreakTheSequenceOfTheFreezesAroundIt) {
  add("a");
  ASSERT_EQ(said(freeze()), "ok");
  ASSERT_EQ(said(thaw()), "ok");
  const base::Json first = last_record();
  ASSERT_EQ(said(drill().outcome), "ok");
  EXPECT_EQ(last_record(), first);
  ASSERT_EQ(said(freeze()), "ok");
  EXPECT_EQ(last_record()["sequence"], 2);
  EXPECT_EQ(last_record()["kind"], "freeze");
}

TEST_F(CoordinatorDrill, FailsAsAFreezeDoesAndReleasesEverything) {
  add("a");
  add("b").script(FakeCall::kHold, FakeEnding::kFail);
  const Drilled drilled = drill();
  EXPECT_EQ(said(drilled.outcome), "hold-failed: unable to hold 'fake:b': access denied");
  EXPECT_EQ(drilled.record["verdict"]["code"], "hold-failed");
  EXPECT_EQ(locked(), Names{});
}

TEST_F(CoordinatorDrill, FailsAsAThawDoesWhenAHoldDoesNotLast) {
  add("a").script(FakeCall::kHold, FakeEnding::kLose);
  const auto drilled = drill();
  EXPECT_FALSE(drilled.outcome);
  EXPECT_EQ(locked(), Names{});
  EXPECT_EQ(coordinator().state(), State::kIdle);
}

TEST_F(CoordinatorDrill, FailsWhenTheRecordCannotBeWritten) {
  add("a");
  coordinator();
  std::filesystem::create_directory(directory_.file("state/drill.json"));
  EXPECT_TRUE(said(drill().outcome).starts_with("hold-failed: unable to write the freeze record"));
  EXPECT_EQ(locked(), Names{});
}

TEST_F(CoordinatorDrill, IsBoundedByTheTimeOutOfAFreeze) {
  add("a").script(FakeCall::kHold, FakeEnding::kHang);
  coordinator();
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(said(drill().outcome).starts_with("freeze-timeout: "));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, kLongest);
  EXPECT_EQ(locked(), Names{});
}

TEST_F(CoordinatorDrill, ReleasesWhenItIsGivenUp) {
  add("a");
  add("b").script(FakeCall::kHold, FakeEnding::kHang);
  do_not_hurry();
  coordinator();
  std::stop_source given_up;
  std::thread other([&] {
    while (calls_.count("fake:b hold") == 0)
      std::this_thread::yield();
    given_up.request_stop();
  });
  const Drilled drilled = drill(given_up.get_token());
  other.join();
  EXPECT_EQ(said(drilled.outcome), "cancelled: the drill was given up: a freeze or thaw came");
  EXPECT_EQ(drilled.record["verdict"]["code"], "hold-failed");
  EXPECT_EQ(locked(), Names{});
  EXPECT_EQ(coordinator().state(), State::kIdle);
}

TEST_F(CoordinatorDrill, IsRefusedWhileAWindowIsOpenAndDoesNotTouchIt) {
  add("a");
  ASSERT_EQ(said(freeze()), "ok");
  const base::Json record = last_record();
  const Drilled drilled = drill();
  EXPECT_EQ(said(drilled.outcome), "busy: unable to drill: a window is open");
  EXPECT_EQ(drilled.record, base::Json::object());
  EXPECT_EQ(coordinator().state(), State::kHeld);
  EXPECT_EQ(last_record(), record);
  EXPECT_EQ(said(thaw()), "ok");
}

TEST_F(CoordinatorDrill, DoesNotSwallowTheThawThatALostWindowOwes) {
  add("a");
  ASSERT_EQ(said(freeze()), "ok");
  coordinator().abandon();
  EXPECT_EQ(said(drill().outcome),
            "busy: unable to drill: the thaw of a window that was lost is still to come");
  EXPECT_TRUE(said(thaw()).starts_with("hold-lost: "));
  EXPECT_EQ(said(drill().outcome), "ok");
}

}  // namespace
}  // namespace holdfast::core
