// SPDX-License-Identifier: MIT
//
// Around the commands that cron and timers run: what became of them is told, by mail and by
// notify-command, as host.conf says. A notification that cannot be sent is complained of and
// changes no exit status: that speaks of what the command did.
//
// Threads: one at a time.
#pragma once

#include <functional>
#include <vector>

#include "command/commands.h"
#include "command/run_report.h"
#include "notify/notice.h"

namespace holdfast::host::command {

// What `run` puts into the list is told, and its error if there is nothing there. A command line or
// a host.conf that is wrong is told to nobody but the caller.
using Tellers = std::function<base::Result<int>(std::vector<notify::Told>&)>;
[[nodiscard]] base::Result<int> notified(const Invocation& invocation, Environment& environment,
                                         const Tellers& run);

[[nodiscard]] notify::Told told_of(const RunReport& report);

}  // namespace holdfast::host::command
