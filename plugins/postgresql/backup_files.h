// SPDX-License-Identifier: MIT
//
// What pg_backup_stop() returns, kept for the administrator who restores with archived WAL:
//
//   <state directory>/<window>/backup_label       byte for byte as the server gave it
//                              tablespace_map     only if the server has tablespaces
//                              backup_stop_lsn    the archive must reach at least to here
//
// Never in the data directory: with a label there, the server would refuse to start after a crash.
// The snapshot itself needs none of it, since it restores by plain crash recovery.
//
// Threads: the resource's worker, after the thaw.
#pragma once

#include <string>

#include "base/result.h"
#include "postgresql/postgresql_session.h"

namespace holdfast::postgresql {

// Writes the files (mode 0600) so that they survive a power cut, and removes those of all but the
// newest windows.
[[nodiscard]] base::Result<void> write_backup_files(const std::string& state_directory,
                                                    const std::string& window,
                                                    const BackupStop& stop);

}  // namespace holdfast::postgresql
