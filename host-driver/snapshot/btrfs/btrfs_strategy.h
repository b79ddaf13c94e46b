// SPDX-License-Identifier: MIT
//
// Method `btrfs`: a read-only snapshot of each subvolume that holds images, inside that subvolume,
// as ".holdfast-VM-RUN-N". Taking one writes out what is dirty of the subvolume first (Linux:
// fs/btrfs/ioctl.c, btrfs_mksnapshot(): btrfs_start_delalloc_snapshot(), then it waits for it), so
// that it holds whatever QEMU has written. With a place to send them to, the images are not copied
// but sent (Sending), and the snapshots of the latest backup stay.
//
// Threads, errors: as Strategy. kPermission without CAP_SYS_ADMIN: without it, snapshots can
// be made, but not deleted.
#pragma once

#include "snapshot/btrfs/sending.h"
#include "snapshot/storage_strategy.h"

namespace holdfast::host::snapshot {

class BtrfsStrategy : public StorageStrategy {
 public:
  static constexpr std::string_view kName = "btrfs";

  explicit BtrfsStrategy(StrategyContext with)
      : StorageStrategy(std::move(with)),
        sending_(context().images.processes(), context().sent_record, context().receive_directory) {
  }

  [[nodiscard]] std::string_view name() const override { return kName; }

 private:
  [[nodiscard]] base::Result<void> do_check() override;
  [[nodiscard]] base::Result<std::string> do_unit(const std::string& image) override;
  [[nodiscard]] base::Result<void> do_suits(const std::vector<image::Layer>& layers) override;
  [[nodiscard]] std::string do_full_because() const override;
  [[nodiscard]] std::string do_place(const std::string& unit, std::size_t index) override;
  [[nodiscard]] base::Result<void> do_prepare(const JournalSnapshot& snapshot,
                                              base::Deadline deadline) override;
  [[nodiscard]] base::Result<void> do_take(const JournalSnapshot& snapshot,
                                           base::Deadline deadline) override;
  [[nodiscard]] base::Result<void> do_copy(const CopyOf& disk, base::Deadline deadline,
                                           const std::stop_token& stop,
                                           const CopyProgress& progress) override;
  [[nodiscard]] base::Result<void> do_remove(const JournalSnapshot& snapshot,
                                             base::Deadline deadline) override;
  [[nodiscard]] base::Result<bool> do_tidy(base::Deadline deadline) override;

  Sending sending_;
  bool sent_ = false;
};

}  // namespace holdfast::host::snapshot
