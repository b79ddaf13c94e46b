// SPDX-License-Identifier: MIT
//
// QEMU's jobs that keep a machine's memory, beside the state of its disks, inside the images, and
// bring both back (snapshot-save and snapshot-load, QEMU 6.0; migration/savevm.c).
//
// QEMU stops the machine for such a job by itself, and lets it go on afterwards if it ran before;
// one that failed to load stands still. Meanwhile QEMU does nothing else: no monitor is answered,
// and the job cannot be cancelled. It stays, concluded, until it is dismissed, whoever began it.
//
// Threads: plain functions; they block. Errors: kRefused with QEMU's own words for a job that
// failed, kTimedOut, and what the monitor says.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "qmp/client.h"
#include "qmp/jobs.h"

namespace holdfast::host::snapshot {

struct MemoryJob {
  std::string tag;  // the name of the snapshots
  // All disks, and the one whose image takes the memory.
  std::vector<std::string> nodes;
  std::string memory_node;
};

// The jobs' names.
[[nodiscard]] std::string save_job(std::string_view tag);
[[nodiscard]] std::string load_job(std::string_view tag);

// kUnsupported before QEMU 6.0.
[[nodiscard]] base::Result<void> require_memory_jobs(qmp::Client& monitor, base::Deadline deadline);

[[nodiscard]] base::Result<void> begin_save(qmp::Client& monitor, const MemoryJob& job,
                                            base::Deadline deadline);
[[nodiscard]] base::Result<void> begin_load(qmp::Client& monitor, const MemoryJob& job,
                                            base::Deadline deadline);

// The job when it is concluded; nothing if there is none.
[[nodiscard]] base::Result<std::optional<qmp::Job>> end_of(qmp::Client& monitor,
                                                           const std::string& id,
                                                           base::Deadline deadline);
// And dismissed. True if there was one; its failure is the error.
[[nodiscard]] base::Result<bool> finish_job(qmp::Client& monitor, const std::string& id,
                                            base::Deadline deadline);

}  // namespace holdfast::host::snapshot
