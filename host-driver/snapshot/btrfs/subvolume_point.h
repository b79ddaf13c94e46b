// SPDX-License-Identifier: MIT
//
// A restore point as read-only snapshots of the subvolumes that hold a machine's images: their
// instant is that of the method `btrfs`, and then they are not copied and removed, but stay.
//
//   check_point ── prepare ── take ── hand_over
//                     └── settle: after a failure of any call
//
// Until hand_over() the journal names the snapshots: whatever is interrupted is undone as a run of
// the method is. From then on it is whoever has recorded places() that removes them.
//
// Threads, errors: as Strategy.
#pragma once

#include <string>
#include <vector>

#include "snapshot/btrfs/btrfs_strategy.h"

namespace holdfast::host::snapshot {

// Where the snapshot of this subvolume stands that belongs to a point:
// "SUBVOLUME/.holdfast-point-VM-ID".
[[nodiscard]] std::string point_place(const std::string& subvolume, const std::string& vm,
                                      const std::string& id);

class SubvolumePoint final : public BtrfsStrategy {
 public:
  SubvolumePoint(StrategyContext context, std::string id);

  // Will it do for these disks? Changes nothing.
  [[nodiscard]] base::Result<void> check_point(const qmp::BlockGraph& graph,
                                               base::Deadline deadline);
  // Valid after check_point(): the snapshots that will be made, and the disks' images in their
  // order, without symbolic links.
  [[nodiscard]] const std::vector<JournalSnapshot>& places() const { return snapshots(); }
  [[nodiscard]] const std::vector<std::vector<image::Layer>>& images() const { return layers(); }

  // After take(), when places() are recorded as those of something unfinished.
  [[nodiscard]] base::Result<void> hand_over() { return context().journal.remove(); }

 private:
  [[nodiscard]] std::string do_place(const std::string& unit, std::size_t index) override;

  std::string id_;
};

}  // namespace holdfast::host::snapshot
