// SPDX-License-Identifier: MIT
//
// A completion script for bash from a program's table of options, and its commands if it has any.
//
// Threads: plain values.
#pragma once

#include <string>
#include <vector>

#include "base/options.h"

namespace holdfast::completion {

struct CompletedCommand {
  std::string name;
  // Options that not every command has.
  std::vector<std::string> options;
};

struct CompletedProgram {
  std::string name;
  int section = 8;  // of its manual page
  base::OptionTable options;
  std::vector<CompletedCommand> commands = {};
  // What follows a command are names of machines: those of "vms.d/NAME.conf" in this directory, or
  // in the one that --config-directory names. Empty: nothing follows a command.
  std::string names_in = {};
};

[[nodiscard]] std::string bash_completion(const CompletedProgram& program);

}  // namespace holdfast::completion
