// SPDX-License-Identifier: MIT
//
// Method `lvm`: a read-only snapshot of each logical volume that holds an image on its filesystem
// (ext4, XFS), or is one itself: "holdfast-VM-RUN-N" in the volume's group. A thin volume's
// snapshot shares its pool; another's gets overlay-reserve percent of the volume's size, and is
// worth nothing once the volume's changes need more: that is looked for after every copy.
//
// Threads, errors: as Strategy.
#pragma once

#include <map>

#include "snapshot/lvm/mounted_snapshot.h"
#include "snapshot/lvm/volume_snapshots.h"
#include "snapshot/storage_strategy.h"

namespace holdfast::host::snapshot {

class LvmStrategy final : public StorageStrategy {
 public:
  static constexpr std::string_view kName = "lvm";

  explicit LvmStrategy(StrategyContext context)
      : StorageStrategy(std::move(context)),
        volumes_(this->context().images.processes(), reserve()) {}

  [[nodiscard]] std::string_view name() const override { return kName; }

 private:
  [[nodiscard]] base::Result<void> do_check() override;
  [[nodiscard]] base::Result<std::string> do_unit(const std::string& image) override;
  [[nodiscard]] std::string do_place(const std::string& unit, std::size_t index) override;
  [[nodiscard]] base::Result<void> do_prepare(const JournalSnapshot& snapshot,
                                              base::Deadline deadline) override;
  [[nodiscard]] base::Result<void> do_take(const JournalSnapshot& snapshot,
                                           base::Deadline deadline) override;
  [[nodiscard]] base::Result<void> do_room() const override;
  [[nodiscard]] base::Result<std::string> do_inside(const JournalSnapshot& snapshot,
                                                    const std::string& image) override;
  [[nodiscard]] base::Result<void> do_intact(const JournalSnapshot& snapshot,
                                             base::Deadline deadline) override;
  [[nodiscard]] base::Result<void> do_remove(const JournalSnapshot& snapshot,
                                             base::Deadline deadline) override;

  VolumeSnapshots volumes_;
  // By the snapshot's path: those whose filesystem has been asked for.
  std::map<std::string, MountedSnapshot> mounted_;
};

}  // namespace holdfast::host::snapshot
