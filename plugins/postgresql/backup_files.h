// SPDX-License-Identifier: MIT
//
// What pg_backup_stop() returns, kept for the administrator who restores with archived WAL:
//
//   <state directory>/<window>/backup_label       byte for byte as the server gave it
//                              tablespace_map     only if the server has tablespaces
//                              backup_stop_lsn    the archive must reach at least to here,
//                              backup_stop_wal_file   which is in this file
//
// Never in the data directory: with a label there, the server would refuse to start after a crash.
// The snapshot itself needs none of it, since it restores by plain crash recovery.
//
// Threads: any, after the thaw; waits for the disk.
#pragma once

#include <cstddef>
#include <string>

#include "base/result.h"
#include "postgresql/postgresql_session.h"

namespace holdfast::postgresql {

// The directory of one window's files.
[[nodiscard]] std::string backup_directory(const std::string& state_directory,
                                           const std::string& window);

// Writes the files (mode 0600) so that they survive a power cut, and removes those of all but the
// `kept` newest windows.
[[nodiscard]] base::Result<void> write_backup_files(const std::string& state_directory,
                                                    const std::string& window,
                                                    const BackupStop& stop, std::size_t kept);

}  // namespace holdfast::postgresql
