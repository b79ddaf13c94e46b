// SPDX-License-Identifier: MIT
//
// Internal qcow2 snapshots of all disks of a running machine, in one transaction: each image keeps
// its state of that instant inside itself, and the guest goes on writing elsewhere in it. With the
// machine's memory, where that is wanted: it stands still until QEMU has written it.
//
// Threads: one at a time. Ownership: borrows the monitor. Errors: name the disk.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "image/qemu_img.h"
#include "qmp/block_graph.h"
#include "qmp/client.h"
#include "snapshot/instant.h"

namespace holdfast::host::snapshot {

class InternalInstant final : public Instant {
 public:
  static constexpr std::string_view kName = "internal";

  // `name`: that of the snapshots.
  InternalInstant(qmp::Client& monitor, std::string name)
      : monitor_(monitor), name_(std::move(name)) {}

  // The memory as well, in the image of the first disk, which it may make this much larger; so long
  // may QEMU take for it. Before check().
  void keep_memory(std::uint64_t room, base::Millis patience);

  // Will it do for these disks? Changes nothing. `reserve`: the free space that must be there for
  // what the guest overwrites from then on, in percent of its disks.
  [[nodiscard]] base::Result<void> check(const std::vector<qmp::Disk>& disks,
                                         image::QemuImg& images, int reserve,
                                         base::Deadline deadline);

  [[nodiscard]] base::Millis patience() const override { return patience_; }
  [[nodiscard]] base::Result<void> take(base::Deadline deadline) override;

 private:
  [[nodiscard]] base::Result<void> take_with_memory(base::Deadline deadline);
  // The arguments of the one transaction.
  [[nodiscard]] base::Json transaction() const;

  qmp::Client& monitor_;
  std::string name_;
  std::vector<std::string> nodes_;
  // Of the memory; 0: the disks alone.
  std::uint64_t room_ = 0;
  base::Millis patience_{0};
};

}  // namespace holdfast::host::snapshot
