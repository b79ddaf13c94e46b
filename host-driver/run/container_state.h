// SPDX-License-Identifier: MIT
//
// The way back for a container: its processes go on, its databases are let go, the snapshot of its
// root goes. For the guardian, for the next run and for the commands by hand.
//
// Threads: plain functions; they block up to their deadline.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "base/process_runner.h"
#include "config/settings.h"
#include "snapshot/journal.h"

namespace holdfast::host::run {

// The method that stands in the journal of a container's run.
inline constexpr const char* kContainerMethod = "container";

// Thaws the control group, and then lets the container's Holdfast let go, if there is one; again
// and again until both are done. A container that is gone needs neither. Uses no descriptor that
// was open before.
[[nodiscard]] base::Result<void> release_container(const config::Settings& settings,
                                                   base::ProcessRunner& processes,
                                                   const std::string& cgroup, bool agent,
                                                   base::Deadline deadline);

// What an interrupted run left, by its journal, under the machine's lock; one line for each thing
// done.
[[nodiscard]] base::Result<std::vector<std::string>> recover_container(
    const config::Settings& settings, base::ProcessRunner& processes);

}  // namespace holdfast::host::run
