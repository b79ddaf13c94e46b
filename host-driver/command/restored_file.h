// SPDX-License-Identifier: MIT
//
// Brings a file that is no disk back from a backup: a definition, the state of a TPM.
//
// Threads: plain function. Errors: kCorrupt if it is not what the manifest says, kExists if there
// is something in its place.
#pragma once

#include <string>

#include "repository/repository.h"

namespace holdfast::host::command {

// Makes DIRECTORY/FILE, mode 0600; on failure there is no such file.
[[nodiscard]] base::Result<void> restore_file(const repository::Backup& backup,
                                              const repository::FileEntry& file,
                                              const std::string& directory);

}  // namespace holdfast::host::command
