// SPDX-License-Identifier: MIT
#include "run/state.h"

#include "base/file.h"
#include "point/store.h"
#include "repository/paths.h"
#include "snapshot/checkpoint/memory_note.h"

namespace holdfast::host::run {

using base::Result;

std::string journal_path(const config::Settings& settings) {
  return settings.state_directory + "/" + settings.vm + ".json";
}

std::string sent_path(const config::Settings& settings) {
  return settings.state_directory + "/" + settings.vm + ".sent";
}

std::string receive_directory(const config::Settings& settings) {
  if (!settings.btrfs_send || settings.method != "btrfs" || settings.repository.empty()) return {};
  return settings.repository + "/.sent/" + settings.vm;
}

Result<repository::Lock> lock_machine(const config::Settings& settings) {
  if (auto named = repository::check_vm_name(settings.vm); !named) return std::move(named).error();
  if (auto made = repository::ensure_directories(settings.state_directory); !made) {
    return std::move(made).error();
  }
  auto lock = repository::Lock::acquire(settings.state_directory + "/" + settings.vm + ".lock",
                                        "'" + settings.vm + "'");
  // Of a run that was killed while it wrote: nobody else does now.
  if (lock) {
    base::discard_unfinished(journal_path(settings));
    base::discard_unfinished(sent_path(settings));
    base::discard_unfinished(snapshot::MemoryNoteFile(journal_path(settings)).path());
    point::Store(settings.state_directory, settings.vm).discard_unfinished();
  }
  return lock;
}

}  // namespace holdfast::host::run
