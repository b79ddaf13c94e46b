// SPDX-License-Identifier: MIT
//
// Whose turn it is: of all enabled machines whose latest backup has not been started yet, the one
// of which any backup was started longest ago, or never.
//
// Threads: plain function. Errors: kConfiguration if no machine is enabled.
#pragma once

#include <string>
#include <vector>

#include "command/commands.h"

namespace holdfast::host::command {

struct WaitingBackup {
  std::string vm;  // empty: none waits
  std::string id;
  // Of machines that could not be looked at: they keep the others from nothing.
  std::vector<base::Error> problems;
};

[[nodiscard]] base::Result<WaitingBackup> find_waiting_backup(const Invocation& invocation);

}  // namespace holdfast::host::command
