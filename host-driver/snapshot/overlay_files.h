// SPDX-License-Identifier: MIT
//
// The files of overlays: how they are called, where they stand, how they are made so that QEMU may
// write them, and how much room they need. Nothing here talks to QEMU, so that every way to put an
// overlay on top of a disk makes its files alike.
//
// Threads: plain functions. Errors: name the path.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "image/qemu_img.h"
#include "qmp/block_graph.h"

namespace holdfast::host::snapshot {

// "web1.vda.holdfast-1f3a9c0b.qcow2"
inline constexpr std::string_view kOverlayMark = ".holdfast-";
inline constexpr std::string_view kOverlaySuffix = ".qcow2";

// Whose overlays, and where.
struct OverlayPlace {
  std::string vm;
  std::string run;
  // Empty: beside each image.
  std::string directory;
  // Free space that must be there for what the guest writes meanwhile, in percent of its disks.
  int reserve = 0;
};

[[nodiscard]] std::string overlay_path(const OverlayPlace& place, const qmp::Disk& disk);
[[nodiscard]] bool is_overlay_path(std::string_view path);

// Are there disks, are their images there, and is there room for overlays? Changes nothing.
[[nodiscard]] base::Result<void> check_overlays(const OverlayPlace& place,
                                                const std::vector<qmp::Disk>& disks);

// An empty qcow2 overlay on the disk's first image, owned as that is: QEMU may run as another user
// than we, and it has the image open.
[[nodiscard]] base::Result<void> make_overlay_file(const std::string& path, const qmp::Disk& disk,
                                                   image::QemuImg& images, base::Deadline deadline);

// What an administrator is told when an overlay's writes could not be brought back to the disk.
[[nodiscard]] base::Error not_committed(const std::string& disk, base::Error cause);

// Taking the instant flushes each image (QEMU: blockdev.c, external_snapshot_prepare), and so does
// the guest's own sync when it freezes. What is dirty in this host's page cache by now is written
// out beforehand. Only time depends on it, so a failure is no matter.
void flush_early(const qmp::Disk& disk);

}  // namespace holdfast::host::snapshot
