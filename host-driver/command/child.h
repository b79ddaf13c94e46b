// SPDX-License-Identifier: MIT
//
// This program once more, as a process of its own that backs up one machine and tells what it does
// as events on a pipe. What happens in it, a crash included, happens to that one machine; the
// guardian of its window is its own.
//
// The child leads a process group of its own, so that a terminal's Ctrl-C reaches the parent alone,
// which passes it on; it is asked to stop (SIGTERM) if the parent dies. Standard error is shared.
//
// Threads: one at a time, and start() always on the same one, which must outlive the child: the
// kernel ties the child to the thread that forked it (PR_SET_PDEATHSIG). Ownership: destroyed while
// the child runs, it stops it with SIGTERM and waits.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "command/run_report.h"

namespace holdfast::host::command {

class Child {
 public:
  // `words` is the command line after the program's name; --report-fd is added.
  [[nodiscard]] static base::Result<Child> start(std::vector<std::string> words);
  Child(Child&& other) noexcept;
  Child& operator=(Child&&) = delete;
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child();

  // To poll for reading: events have come (-1 once there are no more), the process has ended.
  [[nodiscard]] int events_fd() const { return events_.get(); }
  [[nodiscard]] int process_fd() const { return process_fd_.get(); }
  // What has arrived, without waiting. kProtocol ends the stream: nothing after it is believed.
  [[nodiscard]] base::Result<std::vector<Event>> read_events();
  // Asks to stop; the second time to leave the clearing up to the next run.
  void stop();
  // Once process_fd() is readable: how it ended, as waitpid(2) has it.
  [[nodiscard]] int wait();

 private:
  Child(pid_t process, base::UniqueFd process_fd, base::UniqueFd events)
      : process_(process), process_fd_(std::move(process_fd)), events_(std::move(events)) {}

  pid_t process_;
  base::UniqueFd process_fd_;
  base::UniqueFd events_;
  std::string unread_;
  bool stopped_ = false;
};

}  // namespace holdfast::host::command
