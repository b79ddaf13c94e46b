// SPDX-License-Identifier: MIT
//
// Read-only snapshots of logical volumes, from whether there can be one to its end: of a disk's
// volume, and of one on whose filesystem something lies. "/dev/vg0/holdfast-web1-1f3a9c0b-0" is one
// of "vg0/images", as both stand in the journal.
//
// A thin volume's snapshot shares its pool; another's gets a share of the volume's size, and is
// worth nothing once the volume's changes need more: whoever has read from it asks is_intact().
//
// Threads: one at a time. Ownership: borrows the ProcessRunner. Errors: kUnsupported, kNoSpace,
// kNotFound, kRefused for what is not ours; kTimedOut, kProcessFailed of LVM's programs.
#pragma once

#include <string>
#include <vector>

#include "base/process_runner.h"
#include "snapshot/journal.h"
#include "snapshot/lvm/volumes.h"

namespace holdfast::host::snapshot {

class VolumeSnapshots {
 public:
  // `share`: of a volume's size, in percent.
  VolumeSnapshots(base::ProcessRunner& processes, int share)
      : processes_(processes), share_(share) {}

  // The volumes as they are now; the calls below up to take() go by this.
  [[nodiscard]] base::Result<void> look(base::Deadline deadline);
  // The volume that this file, directory or device is on: "vg0/images". kUnsupported if none, or if
  // no snapshot of it can be made; `longest_name` is that of a snapshot's.
  [[nodiscard]] base::Result<std::string> volume_of(const std::string& path,
                                                    const std::string& longest_name) const;
  [[nodiscard]] std::size_t count() const { return volumes_.size(); }
  // Is there room for all of these at once?
  [[nodiscard]] base::Result<void> check_room(const std::vector<JournalSnapshot>& snapshots) const;
  [[nodiscard]] base::Result<void> take(const JournalSnapshot& snapshot, base::Deadline deadline);

  // Is the snapshot still all that it was made of?
  [[nodiscard]] base::Result<void> is_intact(const JournalSnapshot& snapshot,
                                             base::Deadline deadline);
  // Whether or not it is there; never what is a snapshot of something else. Whoever has it mounted
  // lets go of it before.
  [[nodiscard]] base::Result<void> remove(const JournalSnapshot& snapshot, base::Deadline deadline);

 private:
  [[nodiscard]] base::Result<std::vector<Volume>> list(const std::string& group,
                                                       base::Deadline deadline);
  [[nodiscard]] base::Result<std::string> run(std::vector<std::string> argv,
                                              base::Deadline deadline);
  [[nodiscard]] base::Result<void> will_do(const Volume& volume,
                                           const std::string& longest_name) const;

  base::ProcessRunner& processes_;
  int share_;
  std::vector<Volume> volumes_;
  // A snapshot was not made in time, and may still be.
  bool late_ = false;
};

// Where the snapshot of a volume stands.
[[nodiscard]] std::string volume_snapshot_path(const std::string& volume, const std::string& name);

}  // namespace holdfast::host::snapshot
