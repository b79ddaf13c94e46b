// SPDX-License-Identifier: MIT
#include "exec/local_executor.h"

#include <stop_token>
#include <thread>

#include "exec_fixture.h"

namespace holdfast::exec {
namespace {

using base::ErrorCode;
using base::Millis;

class ExecLocal : public ExecFixture {
 protected:
  [[nodiscard]] LocalExecutor of(ExecSettings settings) {
    return {std::move(settings), "queue", processes_, Trust::kAny};
  }
};

TEST_F(ExecLocal, RunsADirectoryInOrderAndThawsItInReverse) {
  script("programs/b");
  script("programs/a");
  script("programs/C");
  auto executor = of(directory());
  ASSERT_TRUE(executor.freeze(call()));
  ASSERT_TRUE(executor.check(call()));
  ASSERT_TRUE(executor.thaw(call()));
  EXPECT_EQ(journal(), (Lines{"C freeze", "a freeze", "b freeze", "b thaw", "a thaw", "C thaw"}));
}

TEST_F(ExecLocal, SkipsWhatEditorsAndPackagingLeaveBehind) {
  for (const char* name : {"a~", "a.bak", "a.orig", "a.rpmnew", "a.rpmorig", "a.rpmsave",
                           "a.sample", "a.dpkg-old", "a.dpkg-dist", ".hidden"}) {
    script(std::string("programs/") + name);
  }
  write("programs/not-executable", "#!/bin/sh\nexit 1\n", 0644);
  std::filesystem::create_directory(path("programs/directory"));
  script("programs/kept");
  auto executor = of(directory());
  ASSERT_TRUE(executor.freeze(call()));
  EXPECT_EQ(journal(), (Lines{"kept freeze"}));
}

TEST_F(ExecLocal, TakesAnEmptyOrMissingDirectoryForNothingToDo) {
  auto empty = of(directory());
  EXPECT_EQ(*empty.probe(call()), "");
  EXPECT_TRUE(empty.freeze(call()));
  EXPECT_TRUE(empty.thaw(call()));
  std::filesystem::remove(path("programs"));
  auto missing = of(directory());
  EXPECT_EQ(*missing.probe(call()),
            "'" + path("programs") + "' does not exist: nothing will be run");
  EXPECT_TRUE(missing.freeze(call()));
  EXPECT_TRUE(missing.thaw(call()));
}

TEST_F(ExecLocal, ThawsThoseBeforeTheOneThatRefuses) {
  script("programs/1");
  script("programs/2");
  script("programs/3", "[ $1 = thaw ] || { echo 'disk is busy' >&2; echo more >&2; exit 3; }");
  script("programs/4");
  auto executor = of(directory());
  const auto frozen = executor.freeze(call());
  ASSERT_FALSE(frozen);
  EXPECT_EQ(frozen.error().text(), "unable to run '" + path("programs/3") +
                                       " freeze': exited with status 3: disk is busy");
  EXPECT_EQ(journal(), (Lines{"1 freeze", "2 freeze", "3 freeze", "2 thaw", "1 thaw"}));
  EXPECT_FALSE(executor.owes());
}

TEST_F(ExecLocal, CountsOnlyStatusZeroAsSuccessForADirectory) {
  script("programs/1", "exit 2");
  auto executor = of(directory());
  EXPECT_FALSE(executor.freeze(call()));
}

TEST_F(ExecLocal, KillsTheWholeGroupAtTheDeadlineAndThenThawsIt) {
  auto settings = program(script("hold", "[ $1 = freeze ] || exit 0\n(sleep 60; echo late >>" +
                                             path("journal") + ") &\nwait"));
  settings.timeout = Millis{300};
  auto executor = of(std::move(settings));
  const auto begin = std::chrono::steady_clock::now();
  const auto frozen = executor.freeze(call());
  ASSERT_FALSE(frozen);
  EXPECT_EQ(frozen.error().code(), ErrorCode::kTimedOut);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
  // It could not undo its own work.
  EXPECT_EQ(journal(), (Lines{"hold freeze", "hold thaw"}));
}

TEST_F(ExecLocal, LeavesTheThawToTheRollbackWhenTheTimeIsOver) {
  auto executor = of(program(script("hold", "[ $1 != freeze ] || sleep 60")));
  ASSERT_FALSE(executor.freeze(call(Millis{300})));
  EXPECT_EQ(journal(), (Lines{"hold freeze"}));
  EXPECT_TRUE(executor.owes());
  executor.rollback(base::Deadline::in(std::chrono::seconds(5)));
  EXPECT_EQ(journal(), (Lines{"hold freeze", "hold thaw"}));
  EXPECT_FALSE(executor.owes());
}

TEST_F(ExecLocal, EndsAProgramWhenAskedToStop) {
  auto executor = of(program(script("hold", "sleep 60")));
  std::stop_source source;
  Call stoppable = call();
  stoppable.stop = source.get_token();
  std::jthread stopper([&] {
    while (journal().empty())
      std::this_thread::yield();
    source.request_stop();
  });
  const auto frozen = executor.freeze(stoppable);
  ASSERT_FALSE(frozen);
  EXPECT_EQ(frozen.error().code(), ErrorCode::kCancelled);
}

TEST_F(ExecLocal, EndsAProgramWhenInterrupted) {
  auto executor = of(program(script("hold", "[ $1 = thaw ] || sleep 60")));
  std::jthread interrupter([&] {
    while (journal().empty())
      std::this_thread::yield();
    executor.interrupt();
  });
  const auto frozen = executor.freeze(call());
  ASSERT_FALSE(frozen);
  EXPECT_EQ(frozen.error().code(), ErrorCode::kCancelled);
}

TEST_F(ExecLocal, GivesEveryProgramItsThawThoughOneHangsAndOneFails) {
  script("programs/1");
  script("programs/2", "[ $1 = freeze ] || sleep 60");
  script("programs/3", "[ $1 = freeze ] || exit 1");
  auto executor = of(directory());
  ASSERT_TRUE(executor.freeze(call()));
  const auto thawed = executor.thaw(call(Millis{2000}));
  ASSERT_FALSE(thawed);
  EXPECT_EQ(thawed.error().text(), "unable to run '" + path("programs/3") +
                                       " thaw': exited with status 1 " + "[also: unable to run '" +
                                       path("programs/2") + " thaw': timed out]");
  EXPECT_EQ(journal(), (Lines{"1 freeze", "2 freeze", "3 freeze", "3 thaw", "2 thaw", "1 thaw"}));
  EXPECT_TRUE(executor.thaw(call()));
  EXPECT_EQ(journal().size(), 6U);
}

TEST_F(ExecLocal, TellsTheProgramWhatItNeedsToKnowAndNothingElse) {
  auto settings = program(write(
      "hold",
      "#!/bin/sh\necho \"$@\" >>" + path("journal") + "\nexec env >>" + path("journal") + "\n",
      0755));
  settings.arguments = {"--first", "two words"};
  auto executor = of(std::move(settings));
  ASSERT_TRUE(executor.freeze(call()));
  Lines said = journal();
  ASSERT_FALSE(said.empty());
  EXPECT_EQ(said.front(), "--first two words freeze");
  said.erase(said.begin());
  std::sort(said.begin(), said.end());
  // The shell adds PWD by itself.
  std::erase_if(said, [](const std::string& line) { return line.starts_with("PWD="); });
  ASSERT_EQ(said.size(), 5U) << ::testing::PrintToString(said);
  EXPECT_TRUE(said[0].starts_with("HOLDFAST_DEADLINE_MS="));
  EXPECT_EQ(said[1], "HOLDFAST_RESOURCE=queue");
  EXPECT_EQ(said[2], "HOLDFAST_VERB=freeze");
  EXPECT_EQ(said[3], "HOLDFAST_WINDOW=w-1");
  EXPECT_TRUE(said[4].starts_with("PATH=/usr/local/sbin:"));
}

TEST_F(ExecLocal, TakesStatusTwoForAVerbThatTheProgramDoesNotKnow) {
  auto executor = of(program(script("hold", "case $1 in freeze|thaw) ;; *) exit 2 ;; esac")));
  EXPECT_TRUE(executor.probe(call()));
  EXPECT_TRUE(executor.prepare(call()));
  EXPECT_FALSE(executor.owes());
  EXPECT_TRUE(executor.freeze(call()));
  EXPECT_TRUE(executor.check(call()));
  EXPECT_TRUE(executor.thaw(call()));
}

TEST_F(ExecLocal, FailsWhenTheProgramKnowsNoFreeze) {
  auto executor = of(program(script("hold", "exit 2")));
  const auto frozen = executor.freeze(call());
  ASSERT_FALSE(frozen);
  EXPECT_EQ(frozen.error().text(),
            "unable to run '" + path("hold") + " freeze': exited with status 2");
}

TEST_F(ExecLocal, ThawsWhatWasPreparedAndNeverFrozen) {
  auto executor = of(program(script("hold")));
  ASSERT_TRUE(executor.prepare(call()));
  executor.rollback(base::Deadline::in(std::chrono::seconds(5)));
  executor.rollback(base::Deadline::in(std::chrono::seconds(5)));
  EXPECT_EQ(journal(), (Lines{"hold prepare", "hold thaw"}));
}

TEST_F(ExecLocal, CallsTheHoldLostWhenTheProgramDoesNotConfirmIt) {
  auto executor = of(program(script("hold", "[ $1 != check ] || { echo moved >&2; exit 1; }")));
  ASSERT_TRUE(executor.freeze(call()));
  const auto checked = executor.check(call());
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code(), ErrorCode::kHoldLost);
  EXPECT_EQ(checked.error().text(), "'" + path("hold") +
                                        "' does not confirm that it held still: unable to run '" +
                                        path("hold") + " check': exited with status 1: moved");
}

TEST_F(ExecLocal, SaysWhatIsWrongWithAProgramBeforeItIsNeeded) {
  auto missing = of(program(path("none")));
  const auto probed = missing.probe(call());
  ASSERT_FALSE(probed);
  EXPECT_EQ(probed.error().text(),
            "unable to run '" + path("none") + "': No such file or directory");
  auto folder = of(program(path("programs")));
  EXPECT_FALSE(folder.probe(call()));
}

TEST_F(ExecLocal, RunsNothingForRootThatOthersCouldHaveWritten) {
  script("programs/good");
  const std::string bad = script("programs/bad");
  ASSERT_EQ(::chmod(bad.c_str(), 0777), 0);
  LocalExecutor executor(directory(), "queue", processes_, Trust::kRootOnly);
  const auto frozen = executor.freeze(call());
  ASSERT_FALSE(frozen);
  EXPECT_EQ(frozen.error().code(), ErrorCode::kPermission);
  EXPECT_EQ(journal(), Lines{});
}

}  // namespace
}  // namespace holdfast::exec
