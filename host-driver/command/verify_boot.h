// SPDX-License-Identifier: MIT
//
// verify --boot: backups started in throwaway machines, and what came of it written beside their
// manifests.
//
// Threads: one at a time. Errors: what kept it from being tried; what speaks against a backup is no
// error but the status 1.
#pragma once

#include <vector>

#include "command/commands.h"
#include "notify/notice.h"

namespace holdfast::host::command {

// What is to be told of each machine is in `tolds`.
[[nodiscard]] base::Result<int> verify_boot(const Invocation& invocation, Environment& environment,
                                            std::vector<notify::Told>& tolds);

}  // namespace holdfast::host::command
