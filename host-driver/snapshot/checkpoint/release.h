// SPDX-License-Identifier: MIT
//
// What a checkpoint that was interrupted has left in a machine: it stands still, its memory is
// being written for nobody, QEMU is set for that. By the note, whoever comes first puts it right:
// the guardian, the next run, `holdfast recover`.
//
// Threads: plain function; blocks until QEMU answers. Errors: as Migration; the note stays then.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "qmp/client.h"
#include "snapshot/checkpoint/memory_note.h"

namespace holdfast::host::snapshot {

enum class Wait : std::uint8_t { kNo, kYes };

// A line for each thing done. Nothing without a note. A machine that was not stopped by the run, or
// that ran again already, is left as it is found. Memory that is saved live is written to its end;
// who does not wait for that leaves the note to who does.
[[nodiscard]] base::Result<std::vector<std::string>> release_machine(qmp::Client& monitor,
                                                                     const MemoryNoteFile& file,
                                                                     Wait wait,
                                                                     base::Deadline deadline);

}  // namespace holdfast::host::snapshot
