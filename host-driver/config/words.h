// SPDX-License-Identifier: MIT
//
// A command line in a configuration file, taken apart as a shell would, and no more than that:
// blanks separate words, '...' keeps everything, "..." and a backslash keep the next character.
// There are no variables, no patterns and no shell.
//
// Threads: any. Errors: kConfiguration.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace holdfast::host::config {

// kConfiguration for a quote that is not closed, and a backslash at the end.
[[nodiscard]] base::Result<std::vector<std::string>> split_words(std::string_view text);

}  // namespace holdfast::host::config
