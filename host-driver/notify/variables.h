// SPDX-License-Identifier: MIT
//
// The environment of the administrator's commands: what they are to know, as HOLDFAST_NAME.
//
// Threads: reads the process's environment, which nobody changes.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace holdfast::host::notify {

using Variables = std::vector<std::pair<std::string, std::string>>;

// Ours instead of what the caller may have of the same names. The names go without "HOLDFAST_".
[[nodiscard]] std::vector<std::string> environment_with(const Variables& variables);

}  // namespace holdfast::host::notify
