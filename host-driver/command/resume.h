// SPDX-License-Identifier: MIT
//
// Continues a machine from a checkpoint that has just been restored: QEMU is started with the
// command line of the backup on the restored images, gets the memory, and runs on; the guest in
// that memory is thawed by its agent, and told the time.
//
//   plan_resumption      before anything is written: can it be done, and is the machine off?
//   resume_machine       when all is there. On failure QEMU, if it was started, is ended, unless
//                        the machine runs already
//
// What is started is what stands in the repository: whoever may write there decides that.
//
// Threads: plain functions; they block. Errors: kUnsupported for what cannot be started from its
// definition, kBusy for a machine that runs, kProcessFailed with what QEMU says.
#pragma once

#include <map>
#include <string>

#include "base/process_runner.h"
#include "config/settings.h"
#include "definition/resumption.h"
#include "repository/repository.h"

namespace holdfast::host::command {

struct ResumptionPlan {
  definition::StoredCommand command;
  definition::Words words;
};

// `targets`: by the name of the disk, where it will be.
[[nodiscard]] base::Result<ResumptionPlan> plan_resumption(
    const config::Settings& settings, const repository::Backup& backup,
    const std::map<std::string, std::string>& targets);

struct Resumed {
  pid_t process = 0;
  // What did not work of it though the machine runs; empty: all did.
  std::string unthawed;
  std::string clock_unset;
};

// `memory` is not compressed.
[[nodiscard]] base::Result<Resumed> resume_machine(const config::Settings& settings,
                                                   const ResumptionPlan& plan,
                                                   const std::string& memory,
                                                   base::ProcessRunner& processes,
                                                   const std::stop_token& stop);

}  // namespace holdfast::host::command
