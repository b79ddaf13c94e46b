// SPDX-License-Identifier: MIT
#include "run/state.h"

#include "repository/paths.h"

namespace holdfast::host::run {

using base::Result;

std::string journal_path(const config::Settings& settings) {
  return settings.state_directory + "/" + settings.vm + ".json";
}

Result<repository::Lock> lock_machine(const config::Settings& settings) {
  if (auto named = repository::check_vm_name(settings.vm); !named) return std::move(named).error();
  if (auto made = repository::ensure_directories(settings.state_directory); !made) {
    return std::move(made).error();
  }
  return repository::Lock::acquire(settings.state_directory + "/" + settings.vm + ".lock",
                                   "'" + settings.vm + "'");
}

}  // namespace holdfast::host::run
