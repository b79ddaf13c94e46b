// SPDX-License-Identifier: MIT
//
// Where freeze records go, and how a daemon knows what one before it left open.
//
//   <state>/freeze.json             on the disk: what a snapshot shows, written under the lock
//   <state>/records/<window>.json   on the disk: the windows that have ended
//   <state>/drill.json              on the disk: the last drill, never taken for a freeze
//   <run>/last.json     the same, for the host to fetch; survives the daemon, not the boot
//   <run>/window.json   exists while a window is open: the marker
//   <run>/lost.json     the marker of a window whose loss the hook has told, in absence of a daemon
//   <run>/sequence      how many windows there were since boot
//
// The disk may not take a write: it is frozen already, or its device has gone. No wait for it is
// longer than its deadline (scribe.h). /run is memory.
//
// Nothing is fsynced: FIFREEZE syncs the filesystem before it returns (fs/super.c, freeze_super),
// so what was written under the lock is in the snapshot.
//
// Threads: the coordinator's. recent() from any.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/json_codec.h"
#include "base/result.h"
#include "core/record.h"
#include "core/reserved_file.h"
#include "core/scribe.h"

namespace holdfast::core {

class Journal {
 public:
  Journal(std::string state_directory, std::string run_directory, std::size_t records_kept);

  // Makes the directories, and looks whether an earlier daemon left a window open in this boot.
  [[nodiscard]] base::Result<void> open();
  // The record of that window as it was under the lock.
  [[nodiscard]] const std::optional<base::Json>& left_open() const { return left_open_; }

  [[nodiscard]] const std::string& boot() const { return boot_; }
  // The number of the next window; counts up with every call.
  [[nodiscard]] std::uint64_t next_sequence();

  // Before the lock, and before the filesystems are flushed: makes room on the disk for what
  // write_held() writes, so that nothing has to be allocated while others wait. kTimedOut if the
  // disk takes no writes; that there is no room for it is no error, write_held() can do without.
  [[nodiscard]] base::Result<void> make_room(base::Deadline deadline);
  // No write_held() came of it.
  void give_room_back();
  // Under the lock: one file on the disk and two in /run, the marker last. Only writes and renames,
  // no flush. kTimedOut if the disk does not take it.
  [[nodiscard]] base::Result<void> write_held(const base::Json& record, base::Deadline deadline);
  // After the release, before the answer: what the host fetches, in /run alone; the marker goes.
  [[nodiscard]] base::Result<void> write_last(const base::Json& record);
  // Like write_last(), but the marker stays: its window's thaw is still to come.
  [[nodiscard]] base::Result<void> write_last_keeping_marker(const base::Json& record);
  // After the answer: the disk's copies, and old records are removed.
  [[nodiscard]] base::Result<void> write_done(const base::Json& record);

  // Of a drill, under the lock and again when it has ended. Touches nothing that a host, a hook or
  // another daemon looks at: nothing was frozen, so there is nothing to account for.
  [[nodiscard]] base::Result<void> write_drill(const base::Json& record, base::Deadline deadline);

  // The marker of an earlier daemon has been reported.
  void forget_left_open();
  // It was never reported: the marker of a new window stands in its place.
  void replace_left_open() { left_open_.reset(); }

  // The newest `most` records, newest first. What cannot be read is left out.
  [[nodiscard]] std::vector<base::Json> recent(std::size_t most) const;

 private:
  // Completes the record of a window whose loss the hook has told.
  void complete_lost();
  [[nodiscard]] std::string record_path(const base::Json& record) const;
  [[nodiscard]] std::string held_path() const;

  // On the disk, by the scribe, in two halves; between them something else may be done.
  [[nodiscard]] base::Result<void> begin_on_disk(const std::string& path, std::string text);
  [[nodiscard]] base::Result<void> finish_on_disk(const std::string& path, base::Result<void> begun,
                                                  base::Deadline deadline);
  // In the run directory, which no freeze reaches; `name` with its slash.
  [[nodiscard]] base::Result<void> write_in_memory(const char* name, const std::string& text) const;

  std::string state_directory_;
  std::string run_directory_;
  std::size_t records_kept_;
  std::string boot_;
  std::uint64_t sequence_ = 0;
  std::optional<base::Json> left_open_;
  // For the scribe to work on.
  std::shared_ptr<ReservedFile> room_;
  std::unique_ptr<Scribe> scribe_ = std::make_unique<Scribe>();
};

}  // namespace holdfast::core
