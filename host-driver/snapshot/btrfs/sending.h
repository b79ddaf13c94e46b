// SPDX-License-Identifier: MIT
//
// Snapshots that are sent into the repository, where the images of a backup are made of them as
// clones: they share with the received subvolume, and with the backups before, what did not change.
//
//   send      each snapshot, over the one that was sent before where both sides still have it;
//             then it is recorded, and only then does the former one go
//   clone     an image of a backup: a file of its own, for which nothing is copied
//   tidy      what is of no more use; all of it once nothing is to be sent any more
//
// Received subvolumes stand in the repository below ".sent/VM", each under its snapshot's name.
//
// Threads: one at a time, under the machine's lock. Ownership: borrows the runner.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/process_runner.h"
#include "base/result.h"
#include "snapshot/btrfs/sent_record.h"
#include "snapshot/journal.h"

namespace holdfast::host::snapshot {

class Sending {
 public:
  // `directory`: ".sent/VM" of the repository; empty: nothing is to be sent.
  Sending(base::ProcessRunner& processes, std::string record, std::string directory)
      : processes_(processes), file_(std::move(record)), directory_(std::move(directory)) {}

  [[nodiscard]] bool wanted() const { return !directory_.empty(); }
  // kUnsupported if the repository is not on btrfs.
  [[nodiscard]] base::Result<void> check() const;
  // kUnsupported for an image in the subvolume that has the repository too: all backups would be
  // sent with it.
  [[nodiscard]] base::Result<void> check_apart(const std::string& image) const;
  [[nodiscard]] base::Result<SentRecord> record() const { return file_.load(); }

  [[nodiscard]] base::Result<void> send(const std::vector<JournalSnapshot>& snapshots,
                                        base::Deadline deadline, const std::stop_token& stop);
  // `image` is in the source of the snapshot, which was sent.
  [[nodiscard]] base::Result<void> clone(const JournalSnapshot& snapshot, const std::string& image,
                                         const std::string& target) const;
  // True if there was anything to be deleted.
  [[nodiscard]] base::Result<bool> tidy(base::Deadline deadline);

 private:
  // The repository, or what there is of the way to it: it may be yet to be made.
  [[nodiscard]] std::string existing() const;
  [[nodiscard]] base::Result<void> make_directory() const;
  // What a run that was killed has received in part.
  [[nodiscard]] base::Result<void> sweep(const SentRecord& record, base::Deadline deadline);
  [[nodiscard]] std::string place_of(const std::string& snapshot) const;
  // Of the one that was sent before; empty where one side lacks it.
  [[nodiscard]] std::string parent_of(const JournalSnapshot& snapshot,
                                      const SentRecord& record) const;

  base::ProcessRunner& processes_;
  SentFile file_;
  std::string directory_;
};

}  // namespace holdfast::host::snapshot
