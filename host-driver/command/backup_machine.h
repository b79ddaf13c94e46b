// SPDX-License-Identifier: MIT
//
// The backup of one machine, whoever watches it: the terminal or another process.
//
// Threads: one at a time.
#pragma once

#include <string>

#include "command/commands.h"
#include "command/run_report.h"
#include "run/backup_run.h"
#include "run/observer.h"

namespace holdfast::host::command {

[[nodiscard]] RunReport back_up_machine(const Invocation& invocation, const std::string& vm,
                                        Environment& environment, run::Observer& observer);

// The parts of it, for a run of several machines. What a run came to as a report:
[[nodiscard]] RunReport report_failure(const std::string& vm, base::Error error);
[[nodiscard]] RunReport report_of(const run::BackupOutcome& outcome,
                                  const config::Settings& settings);
// The keep- rules, under the machine's lock in the repository.
void retain(RunReport& report, const config::Settings& settings, Environment& environment);
// post-command and metrics. `id` may be empty.
void conclude(RunReport& report, const config::Settings& settings, const std::string& id,
              bool guest_may_be_frozen, Environment& environment, run::Observer& observer);
void measure(const RunReport& report, const config::Settings& settings, base::WallTime begin,
             run::Observer& observer);

}  // namespace holdfast::host::command
