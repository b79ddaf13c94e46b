// SPDX-License-Identifier: MIT
//
// The disks of a backup that --disk names, in its order; without it all of them.
//
// Threads: any. Errors: kNotFound for one that the backup does not have.
#pragma once

#include <vector>

#include "command/invocation.h"
#include "repository/repository.h"

namespace holdfast::host::command {

[[nodiscard]] base::Result<std::vector<repository::DiskEntry>> chosen_disks(
    const repository::Backup& backup, const Invocation& invocation);

}  // namespace holdfast::host::command
