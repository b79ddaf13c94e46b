// SPDX-License-Identifier: MIT
//
// Overlays on all disks of a running machine in one transaction, to stay: what was the image is a
// point from then on, and the overlay has the image's name.
//
//   check ── prepare ── take ── finish
//
// Whatever fails, or is interrupted, from prepare() on: KeepImages::remove() takes it back.
//
// The image is renamed after the transaction and not before it, since QEMU opens the image again by
// its name in there, to make it read-only. Both happen before the thaw: what the guest has been
// told is on disk is in the image until then.
//
// Threads: one at a time. Ownership: borrows everything. Errors: name the disk.
#pragma once

#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "image/qemu_img.h"
#include "qmp/block_graph.h"
#include "qmp/client.h"
#include "snapshot/instant.h"
#include "snapshot/keep/kept_nodes.h"

namespace holdfast::host::snapshot {

class KeepInstant final : public Instant {
 public:
  static constexpr std::string_view kName = "overlay";

  KeepInstant(qmp::Client& monitor, std::string id) : monitor_(monitor), id_(std::move(id)) {}

  // Will it do for these disks? Changes nothing. `reserve`: the free space that must be there for
  // what the guest writes from then on, in percent of its disks.
  [[nodiscard]] base::Result<void> check(const std::vector<qmp::Disk>& disks,
                                         image::QemuImg& images, int reserve,
                                         base::Deadline deadline);
  [[nodiscard]] base::Result<void> prepare(image::QemuImg& images, base::Deadline deadline);
  [[nodiscard]] base::Result<void> take(base::Deadline deadline) override;
  // After the thaw. Durable when it returns.
  [[nodiscard]] base::Result<void> finish();

 private:
  struct One {
    qmp::Disk disk;
    std::string image;
    std::string node;
  };

  // The arguments of the one transaction.
  [[nodiscard]] base::Json transaction() const;

  qmp::Client& monitor_;
  std::string id_;
  std::vector<One> disks_;
};

}  // namespace holdfast::host::snapshot
