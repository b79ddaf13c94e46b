// SPDX-License-Identifier: MIT
//
// Copies of disks, in full or of what a dirty bitmap has marked, made by QEMU's backup jobs into
// images of ours. QEMU gets each image as a descriptor (add-fd): it needs no right to the
// repository, and may run as another user or in a namespace of its own.
//
//   attach ── start ── follow ── (detached)      sweep: whatever an earlier run left of all this
//
// The target is attached without its backing file, so that nothing but what is marked is ever
// written or read there. A job can also be started by a transaction, which takes an instant of the
// disk: what the guest overwrites from then on is copied before.
//
// Threads: one at a time. Ownership: borrows the monitor.
// Errors: what QEMU says; kNoSpace is QEMU's word too, so it comes as kRefused.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "image/compression.h"
#include "qmp/client.h"

namespace holdfast::host::snapshot {

// One copy; `name` is its own within QEMU: "holdfast-1f3a9c0b-0".
struct CopyJob {
  std::string name;
  std::string source_node;
  // Empty: all of the disk.
  std::string bitmap;
  // In bytes per second; 0: as fast as it goes.
  std::int64_t rate_limit = 0;
  // As the target was created for.
  image::Compression compression = image::Compression::kNone;
};

// Percent done, 0 to 100.
using CopyProgress = std::function<void(double)>;

class CopyJobs {
 public:
  explicit CopyJobs(qmp::Client& monitor) : monitor_(monitor) {}

  // The qcow2 image at `path`, which is there already, becomes the target of the job.
  [[nodiscard]] base::Result<void> attach(const CopyJob& job, const std::string& path,
                                          base::Deadline deadline);
  // What blockdev-backup is to be given.
  [[nodiscard]] static base::Json arguments(const CopyJob& job);
  [[nodiscard]] static std::string job_id(const CopyJob& job);
  // The same for a job that is to take its instant, and to do nothing at leisure before hurry().
  [[nodiscard]] static base::Json held_back(const CopyJob& job);
  // No error if it has ended already.
  [[nodiscard]] base::Result<void> hurry(const CopyJob& job, base::Deadline deadline);
  [[nodiscard]] base::Result<void> start(const CopyJob& job, base::Deadline deadline);
  // Waits until it is done, then takes the target away again: the image is complete and closed.
  // Interrupted or out of time it leaves the job running, for sweep().
  [[nodiscard]] base::Result<void> follow(const CopyJob& job, base::Deadline deadline,
                                          const std::stop_token& stop,
                                          const CopyProgress& progress);

  // Ends every copy whose name starts with `prefix` and takes the targets away; one line for each
  // job that was ended.
  [[nodiscard]] base::Result<std::vector<std::string>> sweep(std::string_view prefix,
                                                             base::Deadline deadline,
                                                             const std::stop_token& stop);

 private:
  [[nodiscard]] base::Result<void> close_sets(std::string_view prefix);
  [[nodiscard]] base::Result<void> end(const std::string& id, base::Deadline deadline,
                                       const std::stop_token& stop);

  qmp::Client& monitor_;
};

}  // namespace holdfast::host::snapshot
