// SPDX-License-Identifier: MIT
#include "base/process_runner.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <sstream>
#include <string>
#include <thread>

#include "base/file.h"
#include "base/text.h"
#include "base/unix_socket.h"
#include "support/signal_rain.h"
#include "support/temporary_directory.h"

namespace holdfast::base {
namespace {

using namespace std::chrono_literals;
using Ending = ProcessOutcome::Ending;

class ProcessRunnerTest : public testing::Test {
 protected:
  ProcessOutcome run(std::vector<std::string> argv, std::chrono::milliseconds limit = 30s) {
    return runner_.run({.argv = std::move(argv),
                        .environment = std::nullopt,
                        .deadline = Deadline::in(limit),
                        .stop = {},
                        .on_output = {}});
  }
  SystemProcessRunner runner_;
};

TEST_F(ProcessRunnerTest, KeepsBothStreamsAndTheStatus) {
  const auto outcome = run({"sh", "-c", "echo out; echo err >&2; exit 3"});
  EXPECT_EQ(outcome.ending, Ending::kExited);
  EXPECT_EQ(outcome.status, 3);
  EXPECT_EQ(outcome.output, "out\n");
  EXPECT_EQ(outcome.error_output, "err\n");
  EXPECT_FALSE(outcome.succeeded());
  EXPECT_EQ(outcome.as_error("thing").text(), "unable to run 'thing': exited with status 3: err");
}

TEST_F(ProcessRunnerTest, GivesTheProgramWhatItIsToRead) {
  const std::string text(200000, 'x');
  auto outcome = runner_.run({.argv = {"wc", "-c"}, .deadline = Deadline::in(30s), .input = text});
  EXPECT_EQ(outcome.output, "200000\n");
  // Which it need not do.
  outcome = runner_.run({.argv = {"true"}, .deadline = Deadline::in(30s), .input = text});
  EXPECT_TRUE(outcome.succeeded());
  outcome = runner_.run({.argv = {"wc", "-c"}, .deadline = Deadline::in(30s), .input = ""});
  EXPECT_EQ(outcome.output, "0\n");
}

TEST_F(ProcessRunnerTest, ReportsTheSignal) {
  const auto outcome = run({"sh", "-c", "kill -9 $$"});
  EXPECT_EQ(outcome.ending, Ending::kSignalled);
  EXPECT_EQ(outcome.status, 9);
  EXPECT_EQ(outcome.as_error("thing").text(), "unable to run 'thing': killed by signal 9");
}

TEST_F(ProcessRunnerTest, IsNotMisledBySignalsThatComeInBetween) {
  const support::SignalRain rain(10ms);
  while (support::SignalRain::drops() < 20) {
    EXPECT_EQ(run({"/no/such/program"}).ending, Ending::kNotStarted);
    EXPECT_EQ(run({"false"}).status, 1);
  }
}

TEST_F(ProcessRunnerTest, ReportsWhatCannotBeStarted) {
  const auto outcome = run({"/no/such/program"});
  EXPECT_EQ(outcome.ending, Ending::kNotStarted);
  EXPECT_EQ(outcome.status, ENOENT);
  EXPECT_EQ(outcome.as_error("/no/such/program").text(),
            "unable to run '/no/such/program': not started: No such file or directory");
  EXPECT_EQ(outcome.as_error("x").code(), ErrorCode::kNotFound);
  EXPECT_EQ(run({}).ending, Ending::kNotStarted);
}

TEST_F(ProcessRunnerTest, KillsTheWholeGroupAtTheDeadline) {
  const support::TemporaryDirectory directory;
  const std::string pid_file = directory.file("pid");
  const auto outcome = run({"sh", "-c", "sleep 1000 & echo $! > " + pid_file + "; wait"}, 500ms);
  EXPECT_EQ(outcome.ending, Ending::kTimedOut);
  EXPECT_EQ(outcome.as_error("sh").code(), ErrorCode::kTimedOut);
  const auto text = read_file(pid_file, 100);
  ASSERT_TRUE(text) << text.error().text();
  const pid_t grandchild = std::stoi(*text);
  // The grandchild is nobody's to wait for: gone, or a zombie that init has yet to collect.
  const auto gone = [&] {
    const auto status = read_file("/proc/" + std::to_string(grandchild) + "/stat", 4096);
    return !status || status->find(") Z ") != std::string::npos;
  };
  const Deadline deadline = Deadline::in(10s);
  while (!gone() && !deadline.passed())
    std::this_thread::yield();
  EXPECT_TRUE(gone());
}

TEST_F(ProcessRunnerTest, EndsWhenAskedToStop) {
  std::stop_source source;
  std::string seen;
  const auto outcome = runner_.run({.argv = {"sh", "-c", "echo started; sleep 1000"},
                                    .environment = std::nullopt,
                                    .deadline = Deadline::in(30s),
                                    .stop = source.get_token(),
                                    .on_output = [&](std::string_view piece) {
                                      seen += piece;
                                      source.request_stop();
                                    }});
  EXPECT_EQ(outcome.ending, Ending::kCancelled);
  EXPECT_EQ(outcome.as_error("sh").code(), ErrorCode::kCancelled);
  EXPECT_EQ(outcome.as_error("sh").message(), "unable to run 'sh': cancelled");
  EXPECT_EQ(seen, "started\n");
}

TEST_F(ProcessRunnerTest, KeepsNoMoreThanTheLimitAndDoesNotBlockTheProgram) {
  const auto outcome = runner_.run({.argv = {"sh", "-c", "yes | head -c 1000000"},
                                    .environment = std::nullopt,
                                    .deadline = Deadline::in(30s),
                                    .stop = {},
                                    .output_limit = 1000,
                                    .on_output = {}});
  EXPECT_TRUE(outcome.succeeded());
  EXPECT_EQ(outcome.output.size(), 1000U);
  EXPECT_TRUE(outcome.truncated);
}

TEST_F(ProcessRunnerTest, PassesArgumentsAndEnvironmentUntouched) {
  const auto outcome = runner_.run(
      {.argv = {"/bin/sh", "-c", "printf '%s|%s' \"$1\" \"$X\"", "sh", "a b;$(false)'\""},
       .environment = std::vector<std::string>{"X=only this"},
       .deadline = Deadline::in(30s),
       .stop = {},
       .on_output = {}});
  EXPECT_EQ(outcome.output, "a b;$(false)'\"|only this");
}

TEST_F(ProcessRunnerTest, GivesTheProgramNoDescriptorButTheThreeStandardOnes) {
  const int leaky = ::dup(0);  // without close-on-exec, as a careless library would
  const auto outcome = run({"sh", "-c", "ls /proc/self/fd | wc -l; readlink /proc/self/fd/0"});
  ::close(leaky);
  // ls itself holds the directory open: 0, 1, 2 and that one.
  EXPECT_EQ(outcome.output, "4\n/dev/null\n");
}

TEST_F(ProcessRunnerTest, GivesTheProgramTheOneDescriptorThatWasNamed) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const UniqueFd reading(ends[0]);
  const UniqueFd writing(ends[1]);
  const std::string script =
      "ls /proc/self/fd | wc -l; echo said >&" + std::to_string(writing.get());
  const auto outcome = runner_.run(
      {.argv = {"sh", "-c", script}, .deadline = Deadline::in(10s), .inherited = writing.get()});
  ASSERT_TRUE(outcome.succeeded()) << outcome.error_output;
  // The three standard ones, the one that was named, and the directory that ls reads.
  EXPECT_EQ(trimmed(outcome.output), "5");
  std::array<char, 16> said{};
  EXPECT_EQ(::read(reading.get(), said.data(), said.size()), 5);
  // Here it is what it was.
  EXPECT_EQ(::fcntl(writing.get(), F_GETFD), FD_CLOEXEC);
}

// Its process id, group and session, and the priority of that session, where the kernel has such.
constexpr const char* kPlace =
    "read pid name state parent group session rest </proc/self/stat;"
    "echo $pid $group $session; cat /proc/self/autogroup 2>/dev/null || :";

TEST_F(ProcessRunnerTest, LeavesTheProgramInItsSession) {
  if (::getpriority(PRIO_PROCESS, 0) > 0) GTEST_SKIP() << "is of low priority itself";
  const auto outcome = run({"sh", "-c", kPlace});
  std::istringstream said(outcome.output);
  pid_t pid = 0, group = 0, session = 0;
  said >> pid >> group >> session;
  EXPECT_EQ(pid, group) << outcome.output;
  EXPECT_EQ(session, ::getsid(0)) << outcome.output;
}

TEST_F(ProcessRunnerTest, GivesAProgramOfLowPriorityASessionOfThatPriority) {
  ProcessOutcome outcome;
  // With 0 for the process, Linux means the calling thread (setpriority(2)).
  std::thread([&] {
    ASSERT_EQ(::setpriority(PRIO_PROCESS, 0, 15), 0);
    outcome = run({"sh", "-c", kPlace});
  }).join();
  std::istringstream said(outcome.output);
  pid_t pid = 0, group = 0, session = 0;
  said >> pid >> group >> session;
  EXPECT_EQ(pid, group) << outcome.output;
  EXPECT_EQ(pid, session) << outcome.output;
  EXPECT_NE(session, 0) << outcome.output;
  const std::size_t said_of = outcome.output.find(" nice ");
  if (said_of != std::string::npos) {
    EXPECT_EQ(outcome.output.substr(said_of), " nice 15\n");
  }
}

TEST_F(ProcessRunnerTest, KillsAProgramOfLowPriorityWithAllThatItHasStarted) {
  ProcessOutcome outcome;
  std::thread([&] {
    ASSERT_EQ(::setpriority(PRIO_PROCESS, 0, 15), 0);
    outcome = run({"sh", "-c", "sleep 60 & wait"}, 200ms);
  }).join();
  // The sleep has its standard output: it would end no earlier.
  EXPECT_EQ(outcome.ending, Ending::kTimedOut);
}

TEST_F(ProcessRunnerTest, GivesTheProgramOrdinarySignals) {
  sigset_t blocked;
  sigset_t before;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &before);
  const auto outcome = run({"sh", "-c", "kill -TERM $$; echo survived"});
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  EXPECT_EQ(outcome.ending, Ending::kSignalled);
  EXPECT_EQ(outcome.status, SIGTERM);
}

}  // namespace
}  // namespace holdfast::base
