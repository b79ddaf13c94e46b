// SPDX-License-Identifier: MIT
//
// The command line of holdfastctl: one table of verbs and one of options for the parser, --help and
// the manual page.
#pragma once

#include <string>
#include <vector>

#include "base/control_protocol.h"
#include "base/options.h"
#include "base/result.h"

namespace holdfast::ctl {

struct VerbHelp {
  base::Verb verb;
  std::string help;
};

struct CommandLine {
  base::Verb verb = base::Verb::kStatus;
  bool json = false;
  std::string socket;
  bool help = false;
  bool version = false;
};

[[nodiscard]] std::vector<VerbHelp> verb_table();
[[nodiscard]] base::OptionTable command_line_table();
[[nodiscard]] std::string usage_text();
// kUsage for what is in neither table, and for none or more than one verb.
[[nodiscard]] base::Result<CommandLine> parse_command_line(int argc, const char* const* argv);

}  // namespace holdfast::ctl
