// SPDX-License-Identifier: MIT
//
// Room for a copy, taken before the guest depends on it. While a backup job runs, a write of the
// guest first has its old data written to the copy; up to QEMU 10.0, where the copy's filesystem is
// full by then, it is the guest's write that fails. What is set aside here, nobody else can use up.
//
// Threads: plain functions. Errors: kNoSpace; a filesystem that cannot set room aside is none.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "qmp/block_graph.h"

namespace holdfast::host::snapshot {

// How large a qcow2 copy can become: of all that the disk holds, as far as its images tell (a block
// device does not), or of what has changed. With some to spare for what the guest writes until the
// instant.
[[nodiscard]] std::uint64_t room_for(const qmp::Disk& disk);
[[nodiscard]] std::uint64_t room_for_changes(const qmp::Disk& disk, std::uint64_t changed);

// Beyond the end of the file, which stays where it is.
[[nodiscard]] base::Result<void> reserve_room(const std::string& path, std::uint64_t bytes);
// Gives back what was not needed.
[[nodiscard]] base::Result<void> release_room(const std::string& path);

}  // namespace holdfast::host::snapshot
