// SPDX-License-Identifier: MIT
//
// Takes overlays away again, whatever state they are in: asks QEMU what is really there, and does
// the rest. The same code ends a run that went well and one that was killed at any step:
//
//   on top of a disk       active commit: wait for ready, job-complete, concluded, dismiss
//   attached, on no disk   never used, or committed: blockdev-del
//   only a file            never written to, or committed: unlink
//   only a file, written to, and not committed: QEMU was restarted without it. Refused, since it
//                          holds what the guest wrote last
//
// Threads, errors: as Strategy. Interrupted or out of time it leaves the jobs running in QEMU and
// the journal in place; the next call goes on from there.
#pragma once

#include <map>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "image/qemu_img.h"
#include "qmp/block_graph.h"
#include "qmp/client.h"
#include "qmp/jobs.h"
#include "snapshot/journal.h"

namespace holdfast::host::snapshot {

class OverlaySettler {
 public:
  OverlaySettler(qmp::Client& monitor, image::QemuImg& images, const JournalFile& file)
      : monitor_(monitor), images_(images), file_(file) {}

  [[nodiscard]] base::Result<void> settle(Journal& journal, base::Deadline deadline,
                                          const std::stop_token& stop);
  // What the journal on disk says, and what stands in the block graph without a journal. What was
  // done, a line for each.
  [[nodiscard]] base::Result<std::vector<std::string>> recover(base::Deadline deadline,
                                                               const std::stop_token& stop);

 private:
  // What QEMU says is there.
  struct State {
    std::set<std::string> nodes;
    std::set<std::string> roots;
  };

  [[nodiscard]] base::Result<State> look();
  [[nodiscard]] base::Result<void> start_commit(const JournalDisk& disk);
  [[nodiscard]] base::Result<void> finish_commit(Journal& journal, JournalDisk& disk,
                                                 base::Deadline deadline,
                                                 const std::stop_token& stop);
  [[nodiscard]] bool is_untouched(const JournalDisk& disk);
  [[nodiscard]] base::Result<void> remove_overlay(const Journal& journal, const JournalDisk& disk,
                                                  const State& state);
  [[nodiscard]] base::Result<Journal> find_strays(const Journal& known);

  qmp::Client& monitor_;
  image::QemuImg& images_;
  const JournalFile& file_;
};

}  // namespace holdfast::host::snapshot
