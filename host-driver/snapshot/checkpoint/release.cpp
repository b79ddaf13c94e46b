// SPDX-License-Identifier: MIT
#include "snapshot/checkpoint/release.h"

#include "snapshot/checkpoint/migration.h"
#include "snapshot/standstill.h"

namespace holdfast::host::snapshot {

using base::Deadline;
using base::Result;

namespace {

// First of all: a machine that stands still is let go on, as soon as its state allows it.
Result<bool> resume(qmp::Client& monitor, Migration& migration, const MemoryNote& note,
                    Deadline deadline) {
  if (!note.live) {
    // Its images are QEMU's again only after that.
    auto ended = migration.end(note, deadline);
    if (!ended) return ended;
  } else {
    // If it failed it may run, too.
    (void)migration.await_running(deadline);
  }
  return let_run(monitor, deadline);
}

}  // namespace

Result<std::vector<std::string>> release_machine(qmp::Client& monitor, const MemoryNoteFile& file,
                                                 Wait wait, Deadline deadline) {
  std::vector<std::string> done;
  auto note = file.load();
  if (!note) return std::move(note).error();
  if (!*note) return done;
  MemoryNote& left = **note;
  Migration migration(monitor);
  if (left.resume) {
    const auto stood = is_running(monitor, deadline);
    if (!stood) return stood.error();
    const auto resumed = resume(monitor, migration, left, deadline);
    if (!resumed) return resumed.error();
    if (!*stood) done.emplace_back("let the machine go on");
    left.resume = false;
    if (auto saved = file.save(left); !saved) return std::move(saved).error();
  }
  const auto ended =
      migration.end(left, wait == Wait::kYes ? deadline : Deadline::in(base::Millis(0)));
  if (!ended) {
    if (wait == Wait::kNo && ended.error().code() == base::ErrorCode::kTimedOut) return done;
    return ended.error();
  }
  if (*ended) done.emplace_back("saw to the end of the writing of the machine's memory");
  if (auto reset = migration.reset(left, deadline); !reset) return std::move(reset).error();
  if (auto removed = file.remove(); !removed) return std::move(removed).error();
  return done;
}

}  // namespace holdfast::host::snapshot
