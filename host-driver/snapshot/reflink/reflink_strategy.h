// SPDX-License-Identifier: MIT
//
// Method `reflink`: each image that the guest writes to is cloned as a whole by its filesystem
// (FICLONE: btrfs, XFS and others), as ".holdfast-VM-RUN-N" beside it. It is a method of its own
// and no way of `btrfs`: it takes the images one by one and nothing else of the subvolume, works on
// other filesystems, and needs neither root nor a program. The clone flushes the image's dirty
// pages first (Linux: generic_remap_file_range_prep()). A large and much fragmented image takes
// longer than a subvolume.
//
// Threads, errors: as Strategy.
#pragma once

#include "snapshot/storage_strategy.h"

namespace holdfast::host::snapshot {

class ReflinkStrategy final : public StorageStrategy {
 public:
  static constexpr std::string_view kName = "reflink";

  explicit ReflinkStrategy(StrategyContext context) : StorageStrategy(std::move(context)) {}

  [[nodiscard]] std::string_view name() const override { return kName; }

 private:
  [[nodiscard]] base::Result<void> do_check() override;
  [[nodiscard]] base::Result<std::string> do_unit(const std::string& image) override;
  [[nodiscard]] std::string do_place(const std::string& unit, std::size_t index) override;
  [[nodiscard]] base::Result<void> do_prepare(const JournalSnapshot& snapshot,
                                              base::Deadline deadline) override;
  [[nodiscard]] base::Result<void> do_take(const JournalSnapshot& snapshot,
                                           base::Deadline deadline) override;
  [[nodiscard]] base::Result<void> do_remove(const JournalSnapshot& snapshot,
                                             base::Deadline deadline) override;
};

}  // namespace holdfast::host::snapshot
