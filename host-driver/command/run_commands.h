// SPDX-License-Identifier: MIT
//
// The administrator's commands around a run: pre-command before anything is frozen or attached,
// post-command when all is over. Argument vectors, no shell; what they are to know stands in their
// environment. Never while the guest is or may be frozen.
//
// Threads: one at a time; each call blocks until its command has ended, or command-timeout.
// Errors: kProcessFailed with the first line that the command said, kTimedOut, kCancelled.
#pragma once

#include <stop_token>
#include <string>

#include "base/process_runner.h"
#include "command/run_report.h"
#include "config/settings.h"

namespace holdfast::host::command {

// "success", "below-preferred", "incomplete" (published, but something after it failed), "failed".
[[nodiscard]] std::string result_name(const RunReport& report);

[[nodiscard]] base::Result<void> run_pre_command(const config::Settings& settings,
                                                 const std::string& id,
                                                 base::ProcessRunner& processes,
                                                 const std::stop_token& stop);
// `id` may be empty: the run ended before there was one.
[[nodiscard]] base::Result<void> run_post_command(const config::Settings& settings,
                                                  const std::string& id, const RunReport& report,
                                                  base::ProcessRunner& processes,
                                                  const std::stop_token& stop);

}  // namespace holdfast::host::command
