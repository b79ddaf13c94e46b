// SPDX-License-Identifier: MIT
//
// Brings the memory of a checkpoint back as QEMU has written it: uncompressed.
//
// Threads: plain function. Errors: kExists if there is something in its place; zstd's own words.
#pragma once

#include <stop_token>
#include <string>

#include "base/process_runner.h"
#include "repository/repository.h"

namespace holdfast::host::command {

// Makes `target`, mode 0600; on failure there is no such file. The backup has a memory, and its
// checksum has been compared.
[[nodiscard]] base::Result<void> restore_memory(const repository::Backup& backup,
                                                const std::string& target,
                                                base::ProcessRunner& processes,
                                                base::Deadline deadline,
                                                const std::stop_token& stop);

}  // namespace holdfast::host::command
