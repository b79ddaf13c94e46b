// SPDX-License-Identifier: MIT
//
// What 'restore' does for one machine, for whoever restores several.
//
// Threads: one at a time.
#pragma once

#include "base/json_codec.h"
#include "command/commands.h"

namespace holdfast::host::command {

// The invocation names machine and backup. All of it is written, or nothing; told on standard
// output as text, unless it is quiet or --json is asked for. {"vm", "id", "images", "files"}.
[[nodiscard]] base::Result<base::Json> restore_machine(const Invocation& invocation,
                                                       Environment& environment);

}  // namespace holdfast::host::command
