// SPDX-License-Identifier: MIT
//
// The dirty bitmaps from which increments are made: one per disk and published backup, on the root
// node, recording from the instant of that backup on. It goes on recording until the next backup is
// published, and so holds everything that has changed since, whatever becomes of the runs between.
//
//   prepare    add the next one, still disabled
//   instant    enable it, in the transaction that takes the snapshot, or shortly before
//   published  remove the earlier one
//   failed     remove the next one
//
// Nothing about them is written down anywhere else: keep_bitmaps() compares those that are there
// with the latest published backup. In qcow2 images they outlast QEMU (compat 1.1); those of other
// images end with it.
//
// Threads: one at a time. Errors: what QEMU says.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "qmp/block_graph.h"
#include "qmp/client.h"

namespace holdfast::host::snapshot {

// "holdfast-TAG-BACKUP-DISK". The tag is the repository's: each has increments of its own. The
// disk's name keeps a bitmap from being believed on an image that has changed places with another.
[[nodiscard]] std::string bitmap_name(std::string_view tag, std::string_view backup_id,
                                      std::string_view disk);

// Why the bitmap of this disk and backup does not tell what has changed since; empty if it does.
[[nodiscard]] std::string bitmap_problem(const qmp::Disk& disk, const std::string& name);

// Adds a disabled bitmap to the disk's root node; one that outlasts QEMU if the image can hold it.
[[nodiscard]] base::Result<void> add_bitmap(qmp::Client& monitor, const qmp::Disk& disk,
                                            const std::string& name, base::Deadline deadline);

// The names of this repository's bitmaps on the disk that are of no use to an increment over
// `latest`. Empty `latest`: all of them.
[[nodiscard]] std::vector<std::string> useless_bitmaps(const qmp::Disk& disk, std::string_view tag,
                                                       std::string_view latest);

// Removes these from all disks as they are now.
[[nodiscard]] base::Result<void> keep_bitmaps(qmp::Client& monitor, std::string_view tag,
                                              std::string_view latest, base::Deadline deadline);

}  // namespace holdfast::host::snapshot
