// SPDX-License-Identifier: MIT
//
// The backups of many machines side by side within a limit, each in a process of its own (Child),
// and what they say on the standard streams, never mixed within a line, each line with the name of
// its machine.
//
// A stop ends the runs that are under way at their safe points, and starts no more; what was not
// started is reported as cancelled. abandon is passed on likewise.
//
// Threads: run() on one thread, once; it blocks until every child has ended.
#pragma once

#include <deque>
#include <stop_token>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "command/child.h"
#include "command/commands.h"
#include "ui/progress_board.h"

namespace holdfast::host::command {

class ManyRuns {
 public:
  ManyRuns(const Invocation& invocation, const Environment& environment, int limit);

  // One report per machine, in the order given. A run that cannot be started, or whose process
  // dies, is a failed one like any other.
  [[nodiscard]] std::vector<RunReport> run(const std::vector<std::string>& vms);

 private:
  struct Running {
    std::size_t index;
    Child child;
  };

  void start_waiting();
  void start_one(std::size_t index);
  void wait_for_news();
  void pass_signals_on();
  void take_events(Running& running);
  // The process has ended.
  void conclude(Running& running);
  void show(const Event& event, const std::string& vm);
  void finish(std::size_t index);

  const Invocation& invocation_;
  std::size_t limit_;
  std::stop_token stop_;
  std::stop_token abandon_;
  base::UniqueFd woken_;
  ui::ProgressBoard board_;
  std::vector<RunReport> reports_;
  std::deque<std::size_t> waiting_;
  std::vector<Running> running_;
  bool stop_passed_ = false;
  bool abandon_passed_ = false;
};

// The command line of the child for `vm`.
[[nodiscard]] std::vector<std::string> child_words(const Invocation& invocation,
                                                   const std::string& vm);

}  // namespace holdfast::host::command
