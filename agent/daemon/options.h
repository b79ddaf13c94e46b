// SPDX-License-Identifier: MIT
//
// The command line of holdfastd: one table for Boost.Program_options, --help and the manual page.
#pragma once

#include <string>

#include "base/options.h"
#include "base/result.h"

namespace holdfast::daemon {

struct CommandLine {
  std::string config_path;
  // Was it named, or is it the default, which may be absent?
  bool config_named = false;
  bool print_config = false;
  bool check_config = false;
  bool help = false;
  bool version = false;
};

[[nodiscard]] base::OptionTable command_line_table();
[[nodiscard]] std::string usage_text();
// kUsage for what is not in the table.
[[nodiscard]] base::Result<CommandLine> parse_command_line(int argc, const char* const* argv);

}  // namespace holdfast::daemon
