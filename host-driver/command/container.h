// SPDX-License-Identifier: MIT
//
// What the commands by hand do where the machine is a container.
//
// Threads: one at a time.
#pragma once

#include <string>
#include <vector>

#include "base/json_codec.h"
#include "command/commands.h"

namespace holdfast::host::command {

// {"vm", "container", "state", "agent", "journal"}; "problem" if something is wrong.
[[nodiscard]] base::Json container_status(const config::Settings& settings,
                                          Environment& environment);
void print_container_status(const base::Json& json);
// Whoever froze it.
[[nodiscard]] base::Result<void> thaw_container(const config::Settings& settings,
                                                Environment& environment);
[[nodiscard]] base::Result<std::vector<std::string>> recover_container_by_hand(
    const config::Settings& settings, Environment& environment);

}  // namespace holdfast::host::command
