// SPDX-License-Identifier: MIT
//
// A read-only snapshot of the subvolume of btrfs that holds the root of a container. It stands
// beside the root, as ".holdfast-VM-RUN-0", and never inside: what is there, the container may
// delete, change or put a link in the place of.
//
// Taking one writes out whatever is dirty of the subvolume first; no filesystem is frozen for it,
// since others may be at work on the same one.
//
// Threads: one at a time. Ownership: borrows the ProcessRunner.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/process_runner.h"
#include "base/result.h"

namespace holdfast::host::container {

class RootSnapshot {
 public:
  // kUnsupported for a root that is on no btrfs, or beside which there is no room for a snapshot.
  [[nodiscard]] static base::Result<RootSnapshot> of(const std::string& root,
                                                     const std::string& name,
                                                     base::ProcessRunner& processes,
                                                     base::Deadline deadline);

  [[nodiscard]] const std::string& source() const { return source_; }
  [[nodiscard]] const std::string& path() const { return path_; }
  // Where the container's root is in it.
  [[nodiscard]] std::string root() const { return path_ + (inside_.empty() ? "" : "/" + inside_); }
  // Subvolumes within the root, which a snapshot of it leaves out.
  [[nodiscard]] base::Result<std::vector<std::string>> left_out(base::Deadline deadline) const;
  // What is dirty of the filesystem, written out while nothing waits for it. A courtesy.
  void flush_early(base::Deadline deadline, const std::stop_token& stop) const;
  [[nodiscard]] base::Result<void> take(base::Deadline deadline) const;

 private:
  RootSnapshot(base::ProcessRunner& processes, std::string source, std::string path,
               std::string inside)
      : processes_(&processes),
        source_(std::move(source)),
        path_(std::move(path)),
        inside_(std::move(inside)) {}

  base::ProcessRunner* processes_;
  std::string source_;
  std::string path_;
  // The root below the top of the subvolume; empty: it is the top.
  std::string inside_;
};

}  // namespace holdfast::host::container
