// SPDX-License-Identifier: MIT
//
// Brings what a restore wants of a backup into a directory, as new files alone:
//
//   look      at the headers of all images of the chains: nothing that refers to a file elsewhere
//             is ever opened
//   verify    checksums, qemu-img check, on a thread of its own, beside which
//   write     everything is written to NAME.partial, and flushed while the next one is written
//   name      all of it, once all is verified, written and on disk
//
// Killed before the last step it leaves partial files and no others.
//
// Threads: plain function; it blocks. Errors: those of the verification, whatever else there is,
// since an image that is damaged fails qemu-img as well; then those of the writing. On failure
// nothing is left of it, directories included.
#pragma once

#include <string>
#include <vector>

#include "command/chosen_backup.h"
#include "command/commands.h"
#include "command/verification.h"

namespace holdfast::host::command {

struct RestoredDisk {
  repository::DiskEntry disk;
  std::string format;
  std::string path;
};

struct Restoration {
  // Absolute; made if need be.
  std::string directory;
  // Whose paths are in there.
  std::vector<RestoredDisk> disks;
  std::vector<repository::FileEntry> files;
  // Where the memory of a checkpoint goes, uncompressed; empty: it is not wanted.
  std::string memory;
};

// kExists if there is something where one of them is to be.
[[nodiscard]] base::Result<void> require_absent(const Restoration& wanted);

[[nodiscard]] base::Result<void> restore_files(const ChosenBackup& chosen,
                                               const Restoration& wanted, Environment& environment,
                                               const Verification::Shown& show);

}  // namespace holdfast::host::command
