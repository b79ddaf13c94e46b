// SPDX-License-Identifier: MIT
//
// Brings a file that is no disk back from a backup: a definition, the state of a TPM.
//
// Threads: plain function. Errors: kCorrupt if it is not what the manifest says.
#pragma once

#include <string>

#include "command/partial_file.h"
#include "repository/repository.h"

namespace holdfast::host::command {

// What is to be DIRECTORY/FILE, mode 0600, and has not that name yet.
[[nodiscard]] base::Result<PartialFile> restored_file(const repository::Backup& backup,
                                                      const repository::FileEntry& file,
                                                      const std::string& directory);

}  // namespace holdfast::host::command
