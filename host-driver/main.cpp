// SPDX-License-Identifier: MIT
#include <sys/stat.h>

#include <exception>
#include <iostream>

#include "base/process_runner.h"
#include "base/text.h"
#include "command/commands.h"
#include "command/invocation.h"
#include "command/signals.h"

using namespace holdfast;

namespace {

int run(int argc, char** argv) {
  const auto invocation =
      host::command::parse_command_line({argv + (argc > 0 ? 1 : 0), argv + argc});
  if (!invocation) {
    host::command::complain(invocation.error());
    return base::host_exit_status(invocation.error().code());
  }
  if (invocation->verb == "help") {
    std::cout << host::command::help_text();
    return 0;
  }
  if (invocation->verb == "version") {
    std::cout << "holdfast " HOLDFAST_VERSION "\n";
    return 0;
  }
  ::umask(077);
  host::command::Signals signals;
  base::SystemProcessRunner processes;
  host::command::Environment environment{processes, signals.stop(), signals.abandon()};
  const auto status = host::command::run_command(*invocation, environment);
  if (status) return *status;
  host::command::complain(status.error());
  return base::host_exit_status(status.error().code());
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& problem) {
    std::cerr << "holdfast: internal error: " << base::printable(problem.what()) << std::endl;
    return base::host_exit_status(base::ErrorCode::kInternal);
  }
}
