// SPDX-License-Identifier: MIT
//
// The commands of `holdfast`. Each prints its data to standard output, as text or as JSON, and what
// the administrator should know besides to standard error, and returns the exit status; an Error is
// for the caller to print. Texts from a guest or a repository are printable before they get here.
//
// Threads: one at a time; the stop tokens are asked for by the signal thread.
#pragma once

#include <stop_token>
#include <string>

#include "base/process_runner.h"
#include "base/result.h"
#include "command/invocation.h"
#include "config/settings.h"

namespace holdfast::host::command {

struct Environment {
  base::ProcessRunner& processes;
  // The first signal: end at the next safe point. The second: end now, the next run clears up.
  std::stop_token stop;
  std::stop_token abandon;
};

// Runs the verb.
[[nodiscard]] base::Result<int> run_command(const Invocation& invocation, Environment& environment);

[[nodiscard]] base::Result<int> backup(const Invocation& invocation, Environment& environment);
[[nodiscard]] base::Result<int> list(const Invocation& invocation, Environment& environment);
[[nodiscard]] base::Result<int> show(const Invocation& invocation, Environment& environment);
[[nodiscard]] base::Result<int> verify(const Invocation& invocation, Environment& environment);
[[nodiscard]] base::Result<int> restore(const Invocation& invocation, Environment& environment);
[[nodiscard]] base::Result<int> export_backup(const Invocation& invocation,
                                              Environment& environment);
[[nodiscard]] base::Result<int> doctor_command(const Invocation& invocation,
                                               Environment& environment);
[[nodiscard]] base::Result<int> prune(const Invocation& invocation, Environment& environment);
[[nodiscard]] base::Result<int> protect(const Invocation& invocation, Environment& environment);
[[nodiscard]] base::Result<int> unprotect(const Invocation& invocation, Environment& environment);
[[nodiscard]] base::Result<int> snapshot(const Invocation& invocation, Environment& environment);
[[nodiscard]] base::Result<int> status(const Invocation& invocation, Environment& environment);
[[nodiscard]] base::Result<int> freeze(const Invocation& invocation, Environment& environment);
[[nodiscard]] base::Result<int> thaw(const Invocation& invocation, Environment& environment);
[[nodiscard]] base::Result<int> recover(const Invocation& invocation, Environment& environment);

// Settings of one machine, with the sockets it needs.
enum class Needs { kNothing, kMonitor, kAgent, kRepository, kBackup };
[[nodiscard]] base::Result<config::Settings> settings_for(const Invocation& invocation,
                                                          const std::string& vm, Needs needs);

// "holdfast: text" on standard error; in the journal with its priority: an error, a warning for a
// level below the preferred one, a notice.
void complain(const base::Error& error);
void say(const std::string& text);

}  // namespace holdfast::host::command
