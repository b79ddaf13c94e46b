// SPDX-License-Identifier: MIT
//
// Takes overlays off a domain of libvirt's again, whatever state they are in: asks libvirt what is
// really there, and does the rest. The same code ends a run that went well and one that was killed
// at any step:
//
//   on top of a disk        block commit, wait until it is ready, pivot; a commit that an earlier
//                           run has begun goes on
//   named nowhere           never used, or committed: removed
//   named nowhere, written  the definition was changed by hand. Refused, since it holds what the
//   to, not committed       guest wrote last
//   domain is shut off, and its definition names the overlay: it must be started first
//
// A file is moved away, and libvirt asked once more, before it is removed: a call of a run that was
// killed may still be about to put it on top.
//
// Threads, errors: as snapshot::Strategy. Interrupted or out of time it leaves the jobs running and
// the journal in place; the next call goes on from there.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "image/qemu_img.h"
#include "libvirt/domain.h"
#include "qmp/client.h"
#include "snapshot/journal.h"

namespace holdfast::host::libvirt {

class OverlaySettler {
 public:
  OverlaySettler(qmp::Client& bridge, image::QemuImg& images, const snapshot::JournalFile& file)
      : bridge_(bridge), images_(images), file_(file) {}

  [[nodiscard]] base::Result<void> settle(snapshot::Journal& journal, base::Deadline deadline,
                                          const std::stop_token& stop);
  // What the journal on disk says, and what is on top of a disk without a journal. What was done, a
  // line for each.
  [[nodiscard]] base::Result<std::vector<std::string>> recover(base::Deadline deadline,
                                                               const std::stop_token& stop);

 private:
  [[nodiscard]] base::Result<void> start_commit(const snapshot::JournalDisk& disk,
                                                const DomainDisk& now);
  [[nodiscard]] base::Result<void> finish_commit(snapshot::Journal& journal,
                                                 snapshot::JournalDisk& disk,
                                                 base::Deadline deadline,
                                                 const std::stop_token& stop);
  [[nodiscard]] base::Result<void> remove_overlay(const snapshot::Journal& journal,
                                                  const snapshot::JournalDisk& disk,
                                                  const DomainDisks& now);

  qmp::Client& bridge_;
  image::QemuImg& images_;
  const snapshot::JournalFile& file_;
};

}  // namespace holdfast::host::libvirt
