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
  // Options of this command alone.
  std::vector<std::string> options;
};

struct CompletedProgram {
  std::string name;
  base::OptionTable options;
  std::vector<CompletedCommand> commands;
};

[[nodiscard]] std::string bash_completion(const CompletedProgram& program);

}  // namespace holdfast::completion
