// SPDX-License-Identifier: MIT
//
// write_completion PROGRAM FILE: writes that program's completion for bash. Run by the build; not
// installed.
#include <cstdio>
#include <exception>
#include <string>

#include "base/file.h"
#include "completion/bash_completion.h"
#include "ctl/options.h"
#include "daemon/options.h"

namespace {

using holdfast::completion::CompletedProgram;

int run(const std::string& name, const std::string& path) {
  CompletedProgram program;
  program.name = name;
  if (name == "holdfastctl") {
    program.options = holdfast::ctl::command_line_table();
    for (const auto& command : holdfast::ctl::command_table())
      program.commands.push_back({command.name, command.options});
  } else if (name == "holdfastd") {
    program.options = holdfast::daemon::command_line_table();
  } else {
    (void)std::fprintf(stderr, "write_completion: unknown program '%s'\n", name.c_str());
    return 64;
  }
  const auto written = holdfast::base::write_file(
      path, holdfast::completion::bash_completion(program), 0644, holdfast::base::Durable::kNo);
  if (written) return 0;
  (void)std::fprintf(stderr, "write_completion: %s\n", written.error().one_line().c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return argc == 3 ? run(argv[1], argv[2]) : 64;
  } catch (const std::exception& problem) {
    (void)std::fprintf(stderr, "write_completion: %s\n", problem.what());
    return 1;
  }
}
