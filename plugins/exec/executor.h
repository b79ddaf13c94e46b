// SPDX-License-Identifier: MIT
//
// Brings the verbs of one exec resource to its programs. Two ways: LocalExecutor runs them itself,
// RemoteExecutor asks holdfast-execd, which runs them as root (with a LocalExecutor of its own).
//
// Threads: one call at a time; interrupt() from any thread, at any time.
//
// A program that has been told `prepare` or `freeze` is owed a `thaw`, unless it refused: one that
// exits with a failure has undone its own work, as the hooks of the guest agent must (qemu-ga does
// not call a failed hook again). One that was killed could not, so it is owed one too.
#pragma once

#include <stop_token>
#include <string>

#include "base/clock.h"
#include "base/result.h"

namespace holdfast::exec {

struct Call {
  // The window that this belongs to; empty outside windows.
  std::string window;
  base::Deadline deadline;
  std::stop_token stop;
};

class Executor {
 public:
  Executor() = default;
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;
  virtual ~Executor() = default;

  // Could a freeze work? Runs `check` with an empty window. Success returns a warning, or nothing.
  [[nodiscard]] virtual base::Result<std::string> probe(const Call& call) = 0;
  [[nodiscard]] virtual base::Result<void> prepare(const Call& call) = 0;
  // After prepare(): was there anything then that a freeze would run? True if nobody knows.
  [[nodiscard]] virtual bool has_programs() const = 0;
  // On failure every program that was told `freeze` has been told `thaw`; what time or a stop
  // request did not allow is left to rollback().
  [[nodiscard]] virtual base::Result<void> freeze(const Call& call) = 0;
  // Still frozen? Runs `check` within the window.
  [[nodiscard]] virtual base::Result<void> check(const Call& call) = 0;
  // Tells `thaw` to everything that is owed one, in reverse order, all of it even after a failure.
  // Afterwards nothing is owed.
  [[nodiscard]] virtual base::Result<void> thaw(const Call& call) = 0;
  // The same after a freeze that did not come to be; does nothing if nothing is owed.
  virtual void rollback(base::Deadline deadline) = 0;

  // Shows POLLIN or POLLHUP when the other side is gone; -1 if there is none.
  [[nodiscard]] virtual int watch_fd() const = 0;
  // Makes a call that is running return.
  virtual void interrupt() = 0;
};

}  // namespace holdfast::exec
