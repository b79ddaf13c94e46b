// SPDX-License-Identifier: MIT
//
// Libvirt's checkpoints, from which increments are made: one per published backup, whose bitmaps
// record, on every disk that can hold one, from the instant of that backup on. Libvirt makes it in
// the same call that takes the instant; it keeps the list, the images keep the bitmaps.
//
//   instant    the next one is made
//   published  the earlier one is removed
//   failed     the next one is removed
//
// Nothing about them is written down elsewhere: keep_checkpoints() compares those that are there
// with the latest published backup. A checkpoint has one name for all its disks, so what file each
// of them was stands in its description: a bitmap is not believed on an image that has changed
// places with another.
//
// Threads, errors: as qmp::Client.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "qmp/client.h"
#include "snapshot/increment.h"

namespace holdfast::host::libvirt {

struct Checkpoint {
  std::string name;
  std::string description;
  // By disk: how many bytes have changed since; nothing where its bitmap is missing or of no use.
  std::map<std::string, std::optional<std::uint64_t>> changed;
};

// "holdfast-TAG-BACKUP". The tag is the repository's: each has increments of its own.
[[nodiscard]] std::string checkpoint_name(std::string_view tag, std::string_view backup_id);

[[nodiscard]] base::Result<std::vector<Checkpoint>> read_checkpoints(qmp::Client& bridge,
                                                                     base::Deadline deadline);

// Why a checkpoint cannot have a bitmap in the image of this disk; empty if it can.
[[nodiscard]] std::string no_bitmap_because(const qmp::Disk& disk);
// Which files these disks are now.
[[nodiscard]] std::string describe_files(const std::vector<qmp::Disk>& disks);

// What will be copied of the disk; `checkpoint` is the parent's, null if there is none.
[[nodiscard]] snapshot::DiskPlan plan_disk(const qmp::Disk& disk, const snapshot::Parent& parent,
                                           const Checkpoint* checkpoint);

// Removes all of this repository's but that of `latest`; empty: that one as well.
[[nodiscard]] base::Result<void> keep_checkpoints(qmp::Client& bridge, std::string_view tag,
                                                  std::string_view latest, base::Deadline deadline);

}  // namespace holdfast::host::libvirt
