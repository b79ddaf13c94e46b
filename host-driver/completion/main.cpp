// SPDX-License-Identifier: MIT
//
// write_host_completion FILE: writes the completion of holdfast(1) for bash. Run by the build; not
// installed.
#include <algorithm>
#include <cstdio>
#include <exception>
#include <string>

#include "base/file.h"
#include "command/invocation.h"
#include "completion/bash_completion.h"
#include "config/options.h"
#include "config/settings.h"

namespace {

using namespace holdfast;

completion::CompletedProgram program() {
  completion::CompletedProgram program{.name = "holdfast", .section = 1, .options = {}};
  std::vector<completion::CompletedCommand> commands;
  for (const std::string& verb : host::command::verb_names())
    commands.push_back({.name = verb, .options = {}});
  for (const host::command::OwnOption& own : host::command::own_options_table()) {
    program.options.push_back(own.spec);
    // What several commands have is offered with each of them, and with no other.
    for (completion::CompletedCommand& command : commands) {
      const bool has =
          std::find(own.verbs.begin(), own.verbs.end(), command.name) != own.verbs.end();
      if (has) command.options.push_back(own.spec.name);
    }
  }
  base::OptionTable settings = host::config::all_options();
  for (base::OptionSpec& spec : settings) {
    if (spec.name == "group") continue;  // an option of the commands' own
    // Unlike a switch of the command line, a setting says which.
    if (spec.type == base::OptionType::kBool) {
      spec.type = base::OptionType::kChoice;
      spec.choices = {"yes", "no"};
    }
    program.options.push_back(std::move(spec));
  }
  program.commands = std::move(commands);
  program.names_in = std::string(host::config::kConfigDirectory);
  return program;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc != 2) return 2;
    const auto written =
        base::write_file(argv[1], completion::bash_completion(program()), 0644, base::Durable::kNo);
    if (written) return 0;
    (void)std::fprintf(stderr, "write_host_completion: %s\n", written.error().one_line().c_str());
  } catch (const std::exception& problem) {
    (void)std::fprintf(stderr, "write_host_completion: %s\n", problem.what());
  }
  return 1;
}
