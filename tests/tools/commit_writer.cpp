// SPDX-License-Identifier: MIT
//
// commit_writer MODE LOG [WHERE]: commits numbered rows as fast as one client can, and remembers
// each (commit_log.h), until SIGTERM or SIGINT; then prints one line of JSON about the run.
//
//   MODE   mysql or postgresql
//   LOG    a file on a tmpfs
//   WHERE  the server's socket (mysql), the conninfo (postgresql)
//
// A commit that is under way when the signal comes is finished first: a number that was begun and
// never acknowledged stands in the log only if the server, or this program, was killed.
#include <sys/mman.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "commit_log.h"
#include "mysql_commits.h"
#include "postgresql_commits.h"

namespace {

using holdfast::base::Error;
using holdfast::base::ErrorCode;
using holdfast::base::Result;

volatile std::sig_atomic_t g_stop = 0;

void stop(int /*signal*/) {
  g_stop = 1;
}

// No SA_RESTART, yet the client libraries restart their reads: a commit under way is finished.
void install_handlers() {
  struct sigaction action {};
  action.sa_handler = stop;
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
}

Result<std::unique_ptr<holdfast::tools::Commits>> make_commits(std::string_view mode,
                                                               std::string where) {
  std::unique_ptr<holdfast::tools::Commits> commits;
  if (mode == "mysql") {
    if (where.empty()) where = "/run/mysqld/mysqld.sock";
    commits = std::make_unique<holdfast::tools::MysqlCommits>(std::move(where));
  } else if (mode == "postgresql") {
    if (where.empty()) where = "dbname=postgres";
    commits = std::make_unique<holdfast::tools::PostgresqlCommits>(std::move(where));
  } else {
    return Error(ErrorCode::kUsage, "unable to write to '" + std::string(mode) +
                                        "': neither 'mysql' nor 'postgresql'");
  }
  return commits;
}

Result<void> write_until_stopped(holdfast::tools::Commits& commits,
                                 holdfast::tools::CommitLog& log) {
  auto highest = commits.open();
  if (!highest) return highest.error();
  const holdfast::base::SystemClock clock;
  for (std::uint64_t number = *highest + 1; g_stop == 0; ++number) {
    if (auto noted = log.begin(number, clock.now()); !noted) return noted;
    if (auto done = commits.commit(number); !done) return done;
    if (auto noted = log.acknowledge(clock.now()); !noted) return noted;
  }
  return {};
}

void print(const holdfast::tools::Summary& summary) {
  const auto ms = [](std::chrono::nanoseconds span) {
    return std::chrono::duration<double, std::milli>(span).count();
  };
  std::printf("{\"commits\": %llu, \"p50_ms\": %.3f, \"p999_ms\": %.3f, \"longest_ms\": %.3f}\n",
              static_cast<unsigned long long>(summary.commits), ms(summary.median),
              ms(summary.p999), ms(summary.longest));
}

Result<void> run(int argc, char** argv) {
  if (argc < 3 || argc > 4) {
    return Error(ErrorCode::kUsage, "usage: commit_writer mysql|postgresql LOG [WHERE]");
  }
  // A page that had to be read from a frozen or busy disk would be a pause of our own making.
  (void)mlockall(MCL_CURRENT | MCL_FUTURE);
  install_handlers();
  auto commits = make_commits(argv[1], argc == 4 ? argv[3] : "");
  if (!commits) return commits.error();
  auto log = holdfast::tools::CommitLog::create(argv[2]);
  if (!log) return log.error();
  auto written = write_until_stopped(**commits, *log);
  print(log->summary());
  return written;
}

}  // namespace

int main(int argc, char** argv) {
  const auto done = run(argc, argv);
  if (done) return 0;
  std::cerr << "commit_writer: " << done.error().one_line() << '\n';
  return holdfast::base::guest_exit_status(done.error().code());
}
