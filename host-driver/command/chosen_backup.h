// SPDX-License-Identifier: MIT
//
// The backup that a command line names (VM ID, and the disks that --disk names, in its order;
// without it all of them), for who reads it for a while.
//
// Threads: any. Ownership: no retention removes the backup as long as the object lives. Errors:
// kNotFound for a backup that is not there, or a disk that it does not have; those of
// settings_for(), Repository::open() and Use::of().
#pragma once

#include <vector>

#include "command/invocation.h"
#include "config/settings.h"
#include "repository/repository.h"
#include "repository/use.h"

namespace holdfast::host::command {

struct ChosenBackup {
  config::Settings settings;
  repository::Repository repository;
  repository::Backup backup;
  std::vector<repository::DiskEntry> disks;
  repository::Use use;
};

[[nodiscard]] base::Result<ChosenBackup> choose_backup(const Invocation& invocation);

}  // namespace holdfast::host::command
