// SPDX-License-Identifier: MIT
//
// The backup of one machine, whoever watches it: the terminal or another process.
//
// Threads: one at a time.
#pragma once

#include <string>

#include "command/commands.h"
#include "command/run_report.h"
#include "run/observer.h"

namespace holdfast::host::command {

[[nodiscard]] RunReport back_up_machine(const Invocation& invocation, const std::string& vm,
                                        Environment& environment, run::Observer& observer);

}  // namespace holdfast::host::command
