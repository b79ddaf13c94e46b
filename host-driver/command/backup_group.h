// SPDX-License-Identifier: MIT
//
// 'backup --group NAME' and 'restore --group ID'.
//
// Threads: one at a time.
#pragma once

#include <vector>

#include "command/commands.h"
#include "command/run_report.h"

namespace holdfast::host::command {

struct GroupReport {
  base::Json record;  // null: there is none
  std::vector<RunReport> machines;
};

// The group that the invocation names; with 'all' as one of those that it means. An error if it did
// not come to a run: nobody belongs to it, or they do not fit together.
[[nodiscard]] base::Result<GroupReport> back_up_group(const Invocation& invocation,
                                                      Environment& environment);
// Each machine's into a directory of its name below --to, when all of them are there.
[[nodiscard]] base::Result<int> restore_group(const Invocation& invocation,
                                              Environment& environment);

}  // namespace holdfast::host::command
