// SPDX-License-Identifier: MIT
//
// The one backup that libvirt has of a domain: looking at it, waiting for it, ending it.
//
// Threads, errors: as qmp::Client.
#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "qmp/client.h"
#include "snapshot/copy_jobs.h"

namespace holdfast::host::libvirt {

struct BackupJob {
  // "none", "beginning", "running"; "other": the domain has a job that is no backup.
  std::string state;
  std::vector<std::string> targets;
  double done = 0;
  double total = 0;
  bool outcome_known = false;
  bool success = false;
  std::string error;

  [[nodiscard]] bool is_there() const { return state == "beginning" || state == "running"; }
};

[[nodiscard]] base::Result<BackupJob> read_backup_job(qmp::Client& bridge, base::Deadline deadline);

// Copies no faster than this, in bytes per second and disk, from here on. A limit that libvirt
// refuses while the job goes on is an error.
[[nodiscard]] base::Result<void> limit_backup(qmp::Client& bridge,
                                              const std::vector<std::string>& disks,
                                              std::int64_t rate, const std::stop_token& stop);

// Until there is none, and libvirt has closed its targets. Its outcome is not judged; where it is
// not known either, the daemon has just come back, and is given time to find its machines again.
[[nodiscard]] base::Result<BackupJob> wait_for_backup(qmp::Client& bridge, base::Deadline deadline,
                                                      const std::stop_token& stop,
                                                      const snapshot::CopyProgress& progress);

// Ends it, and waits for that. Nothing to do if there is none.
[[nodiscard]] base::Result<void> end_backup(qmp::Client& bridge, base::Deadline deadline,
                                            const std::stop_token& stop);

}  // namespace holdfast::host::libvirt
