// SPDX-License-Identifier: MIT
//
// Brings the memory of a checkpoint back as QEMU has written it: uncompressed.
//
// Threads: plain function. Errors: zstd's own words.
#pragma once

#include <stop_token>
#include <string>

#include "base/process_runner.h"
#include "command/partial_file.h"
#include "repository/repository.h"

namespace holdfast::host::command {

// What is to be `target`, mode 0600, and has not that name yet. The backup has a memory.
[[nodiscard]] base::Result<PartialFile> restored_memory(const repository::Backup& backup,
                                                        const std::string& target,
                                                        base::ProcessRunner& processes,
                                                        base::Deadline deadline,
                                                        const std::stop_token& stop);

}  // namespace holdfast::host::command
