// SPDX-License-Identifier: MIT
//
// A read-only snapshot of what holds the root of a container, by what it lies on:
//
//   btrfs  of the subvolume, as ".holdfast-VM-RUN-0" beside the root and never inside: what is
//          there, the container may delete, change or put a link in the place of. Taking one writes
//          out whatever is dirty of the subvolume first; no filesystem is frozen for it.
//   LVM    of the logical volume under the ext4 or XFS, as "holdfast-VM-RUN-0" in its group. The
//          device mapper freezes that filesystem while it makes the snapshot, which writes out all
//          that is dirty and leaves its log with nothing to replay. No process of a frozen control
//          group can be in its way: each stands where it holds no lock of a filesystem.
//
// Threads: one at a time. Ownership: borrows the ProcessRunner.
#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/process_runner.h"
#include "base/result.h"
#include "snapshot/journal.h"

namespace holdfast::host::container {

class RootSnapshot {
 public:
  // Nothing is made yet. `name` is "holdfast-VM-RUN-0"; `share` is how much of a volume's size its
  // snapshot may take up, in percent. kUnsupported for a root that is on neither, or beside which
  // there is no place for a snapshot; kNoSpace.
  [[nodiscard]] static base::Result<std::unique_ptr<RootSnapshot>> of(
      const std::string& root, const std::string& name, int share, base::ProcessRunner& processes,
      base::Deadline deadline);

  RootSnapshot(const RootSnapshot&) = delete;
  RootSnapshot& operator=(const RootSnapshot&) = delete;
  virtual ~RootSnapshot() = default;

  // As a backup's manifest has it.
  [[nodiscard]] virtual std::string_view method() const = 0;
  // As the journal has it.
  [[nodiscard]] const snapshot::JournalSnapshot& place() const { return place_; }
  // Subvolumes within the root, which a snapshot of it leaves out.
  [[nodiscard]] virtual base::Result<std::vector<std::string>> left_out(
      base::Deadline deadline) const = 0;
  // What is dirty of the filesystem, written out while nothing waits for it. A courtesy.
  void flush_early(base::Deadline deadline, const std::stop_token& stop) const;
  [[nodiscard]] virtual base::Result<void> take(base::Deadline deadline) = 0;
  // Where the container's root is in it, for programs that this process starts, until remove().
  [[nodiscard]] virtual base::Result<std::string> tree() = 0;
  // Is it still all that it was made of? To be asked when all has been read. kNoSpace.
  [[nodiscard]] virtual base::Result<void> is_intact(base::Deadline deadline) = 0;
  // Whether or not it was taken.
  [[nodiscard]] virtual base::Result<void> remove(base::Deadline deadline) = 0;

 protected:
  RootSnapshot(std::string root, snapshot::JournalSnapshot place, base::ProcessRunner& processes)
      : root_(std::move(root)), place_(std::move(place)), processes_(processes) {}

  [[nodiscard]] base::ProcessRunner& processes() const { return processes_; }
  [[nodiscard]] const std::string& root_directory() const { return root_; }

 private:
  std::string root_;
  snapshot::JournalSnapshot place_;
  base::ProcessRunner& processes_;
};

// ".NAME" in the directory above the root, where the container cannot reach. kUnsupported if that
// is on another filesystem.
[[nodiscard]] base::Result<std::string> place_beside(const std::string& root,
                                                     const std::string& name);

// What the journal of a run names and may have been made: a snapshot of either kind, or a tree that
// was unpacked beside a root.
[[nodiscard]] base::Result<void> remove_by_journal(const snapshot::JournalSnapshot& place,
                                                   base::ProcessRunner& processes,
                                                   base::Deadline deadline);

}  // namespace holdfast::host::container
