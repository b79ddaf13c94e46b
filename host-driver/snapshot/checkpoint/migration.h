// SPDX-License-Identifier: MIT
//
// QEMU's migration, as the way in which it writes a machine's memory and devices into a file.
//
//   check ── set_up ── start ── await_running, await_written ── reset
//                        └── end, at any time
//
// Live, by the capability `background-snapshot` (QEMU 6.0; kernel: userfaultfd with write
// protection, for which QEMU needs root or vm.unprivileged_userfaultfd): QEMU saves the devices,
// write-protects the memory, and writes a page before the guest first overwrites it. Of a machine
// that was stopped beforehand QEMU up to 8.1 lets it run again by itself, later ones leave it as
// they found it. (QEMU: migration/migration.c, bg_migration_thread().)
//
// Otherwise the machine is stopped until all is written, and in state `postmigrate` then, its
// images given up (bdrv_inactivate_all()) until `cont` takes them back.
//
// Threads: one at a time. Ownership: borrows the monitor. Errors: what QEMU says, as kRefused;
// kUnsupported for a machine that cannot be saved, or not this way; kBusy; kTimedOut; kCancelled.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>

#include "base/unique_fd.h"
#include "qmp/client.h"
#include "snapshot/checkpoint/memory_note.h"

namespace holdfast::host::snapshot {

class Migration {
 public:
  explicit Migration(qmp::Client& monitor) : monitor_(monitor), qemu_(monitor.peer()) {}

  // Can this machine's state be saved at all? The error names the device that keeps it from that.
  [[nodiscard]] base::Result<void> check(base::Deadline deadline);
  // And live? Sets the capability, and takes it back.
  [[nodiscard]] base::Result<void> check_live(base::Deadline deadline);

  // Into `note` goes what is to be reset(); it is to be kept before set_up().
  [[nodiscard]] base::Result<void> read_settings(MemoryNote& note, base::Deadline deadline);
  [[nodiscard]] base::Result<void> set_up(bool live, base::Deadline deadline);
  // After end().
  [[nodiscard]] base::Result<void> reset(const MemoryNote& note, base::Deadline deadline);

  // Of a machine that stands still, into a regular file, which nobody else has open.
  [[nodiscard]] base::Result<void> start(base::UniqueFd file, base::Deadline deadline);
  // Live: until the machine runs again, its state being safe.
  [[nodiscard]] base::Result<void> await_running(base::Deadline deadline);
  // In percent; until all is written. kTimedOut at the deadline, and before it if QEMU has written
  // nothing for as long as `at_rest`: storage that hangs.
  [[nodiscard]] base::Result<void> await_written(base::Deadline deadline, base::Millis at_rest,
                                                 const std::stop_token& stop,
                                                 const std::function<void(double)>& progress);
  // Live, and not wanted any more: the guest's writes wait for it no longer, whatever the storage
  // and QEMU's monitor do (write_tracking.h). QEMU gives up at the next page that it saves.
  [[nodiscard]] base::Result<void> set_free();
  // Until QEMU is done with it: cancelled, or, if it is live, run to its end. That one is not
  // cancelled; the guest's memory is set free if it has failed, or does not move on. True if there
  // was one under way.
  [[nodiscard]] base::Result<bool> end(const MemoryNote& note, base::Deadline deadline);

 private:
  struct State {
    std::string status;  // "active", "completed"; empty: there has been none
    std::string problem;
    bool pages_written = false;
    std::int64_t total = 0;  // bytes
    std::int64_t remaining = 0;

    [[nodiscard]] bool under_way() const;
    [[nodiscard]] bool failed() const { return status == "failed" || status == "cancelled"; }
  };

  [[nodiscard]] base::Result<State> query(base::Deadline deadline);
  // Any event will do, or some time.
  [[nodiscard]] base::Result<void> wait(base::Deadline deadline, base::Millis at_most,
                                        const std::stop_token& stop);

  qmp::Client& monitor_;
  pid_t qemu_;
};

// A machine that ran, and stands still for its memory, goes on. True if it did not run.
[[nodiscard]] base::Result<bool> let_run(qmp::Client& monitor, base::Deadline deadline);

}  // namespace holdfast::host::snapshot
