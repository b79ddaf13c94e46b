// SPDX-License-Identifier: MIT
//
// Room for a copy: how much it may need, and taken before the guest depends on it. While a backup
// job runs, a write of the guest first has its old data written to the copy; up to QEMU 10.0, where
// the copy's filesystem is full by then, it is the guest's write that fails. What is set aside
// here, nobody else can use up.
//
// Threads: plain functions. Errors: kNoSpace; a filesystem that cannot set room aside is none.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "qmp/block_graph.h"
#include "snapshot/increment.h"

namespace holdfast::host::snapshot {

// How much of the disk holds data, in whole clusters of a copy, as far as its images tell: holes
// cost a copy nothing. As if nothing could be compressed.
[[nodiscard]] std::uint64_t data_of(const qmp::Disk& disk);
// Of what has changed: the guest may as well have discarded it, which costs nothing either.
[[nodiscard]] std::uint64_t data_of_changes(const qmp::Disk& disk, std::uint64_t changed);
// What a run by this plan is to copy.
[[nodiscard]] std::uint64_t data_to_copy(const qmp::Disk& disk, const DiskPlan& plan);

// How large a qcow2 copy can become: of all that the disk holds (a block device does not tell), or
// of what has changed. With some to spare for what the guest writes until the
// instant.
[[nodiscard]] std::uint64_t room_for(const qmp::Disk& disk);
[[nodiscard]] std::uint64_t room_for_changes(const qmp::Disk& disk, std::uint64_t changed);

// That much is wanted free in this directory, beside what others want of its filesystem.
struct Wanted {
  std::string directory;
  std::uint64_t bytes = 0;
};
// `purpose` is for the error: "put overlays into".
[[nodiscard]] base::Result<void> check_free(const std::vector<Wanted>& wanted,
                                            const std::string& purpose, const std::string& hint);

// Beyond the end of the file, which stays where it is.
[[nodiscard]] base::Result<void> reserve_room(const std::string& path, std::uint64_t bytes);
// Gives back what was not needed.
[[nodiscard]] base::Result<void> release_room(const std::string& path);

}  // namespace holdfast::host::snapshot
