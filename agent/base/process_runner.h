// SPDX-License-Identifier: MIT
//
// Runs other programs: an argument vector, never a shell; a deadline; limits on what is kept of
// their output; and an outcome that lists every way it can end. One of the four interfaces to the
// outside world: take a ProcessRunner& in the constructor.
//
// The program gets a process group of its own, which is killed as a whole at the deadline; it dies
// with the thread that called run() (PR_SET_PDEATHSIG), so that a killed driver leaves no copy
// running behind it. Its standard input is /dev/null unless it is given one, and no descriptor is
// inherited that was not named.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace holdfast::base {

struct ProcessSpec {
  // argv[0] is looked up in PATH of the caller unless it has a slash.
  std::vector<std::string> argv;
  // "NAME=value"; nothing: the caller's environment.
  std::optional<std::vector<std::string>> environment = std::nullopt;
  Deadline deadline;
  // A request to stop ends the program like the deadline does.
  std::stop_token stop = {};
  // Its standard input, in memory: it need not read it. Nothing: /dev/null.
  std::optional<std::string> input = std::nullopt;
  // How much of each stream is kept, in bytes; the rest is read and dropped, so that the program
  // never blocks on a full pipe.
  std::size_t output_limit = std::size_t{64} * 1024;
  // A descriptor of the caller, above 2, that the program gets under the same number; -1: none.
  int inherited = -1;
  // Called on the calling thread when the program runs, with its process id, which belongs to it at
  // least as long as the call lasts; may be empty.
  std::function<void(int)> on_start = {};
  // Called on the calling thread with each piece of standard output as it arrives; may be empty.
  std::function<void(std::string_view)> on_output = {};
};

struct ProcessOutcome {
  enum class Ending { kExited, kSignalled, kTimedOut, kCancelled, kNotStarted };
  Ending ending = Ending::kNotStarted;
  // kExited: the exit status. kSignalled: the signal. kNotStarted: the errno.
  int status = 0;
  std::string output;
  std::string error_output;
  bool truncated = false;

  [[nodiscard]] bool succeeded() const { return ending == Ending::kExited && status == 0; }
  // "exited with status 3", "killed by signal 9", "timed out", …
  [[nodiscard]] std::string description() const;
  // The outcome as an error: "unable to run 'qemu-img': exited with status 1: first line of
  // stderr".
  [[nodiscard]] Error as_error(std::string_view program) const;
};

// Threads: run() from any thread, several at once.
class ProcessRunner {
 public:
  virtual ~ProcessRunner() = default;
  // Blocks until the program and everything that holds its output open has ended, or until the
  // deadline, when what is left of its group is killed.
  [[nodiscard]] virtual ProcessOutcome run(const ProcessSpec& spec) = 0;
};

class SystemProcessRunner final : public ProcessRunner {
 public:
  [[nodiscard]] ProcessOutcome run(const ProcessSpec& spec) override;
};

}  // namespace holdfast::base
