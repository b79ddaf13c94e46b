// SPDX-License-Identifier: MIT
//
// The command line of holdfastctl: one table of commands and one of options for the parser, --help,
// the manual page and the shell's completion.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/control_protocol.h"
#include "base/options.h"
#include "base/result.h"

namespace holdfast::ctl {

enum class Command { kStatus, kFreeze, kThaw, kDrill, kCheck, kReport, kProve, kSetup, kDoctor };

struct CommandSpec {
  Command command;
  std::string name;
  std::string help;
  // What the daemon is asked; nothing: the command does not (only) ask the daemon.
  std::optional<base::Verb> verb;
  // Options of this command, and of no other that does not name them too.
  std::vector<std::string> options = {};
};

struct CommandLine {
  Command command = Command::kStatus;
  bool json = false;
  std::string socket;
  // Of setup.
  bool yes = false;
  bool remove = false;
  std::string programs;
  // Of prove.
  std::string resources;
  std::string record;
  base::Millis wait{};
  base::Millis timeout{};
  bool help = false;
  bool version = false;
};

[[nodiscard]] std::vector<CommandSpec> command_table();
[[nodiscard]] const CommandSpec& spec_of(Command command);
[[nodiscard]] base::OptionTable command_line_table();
[[nodiscard]] std::string usage_text();
// kUsage for what is in neither table, for none or more than one command, and for an option that
// belongs to other commands.
[[nodiscard]] base::Result<CommandLine> parse_command_line(int argc, const char* const* argv);

}  // namespace holdfast::ctl
