// SPDX-License-Identifier: MIT
#include "command/chosen_backup.h"

#include <algorithm>

#include "base/text.h"
#include "command/commands.h"

namespace holdfast::host::command {

using base::Error;
using base::ErrorCode;
using base::Result;
using repository::Backup;
using repository::DiskEntry;
using repository::Repository;

namespace {

Result<std::vector<DiskEntry>> chosen_disks(const Backup& backup, const Invocation& invocation) {
  if (invocation.disks.empty()) return backup.manifest.disks;
  std::vector<DiskEntry> disks;
  for (const std::string& name : invocation.disks) {
    const auto found = std::find_if(backup.manifest.disks.begin(), backup.manifest.disks.end(),
                                    [&](const DiskEntry& disk) { return disk.name == name; });
    if (found == backup.manifest.disks.end()) {
      return Error(ErrorCode::kNotFound, "backup '" + backup.manifest.id + "' has no disk '" +
                                             base::printable(name, 64) + "'")
          .with_hint("holdfast show " + backup.manifest.vm + " " + backup.manifest.id);
    }
    disks.push_back(*found);
  }
  return disks;
}

}  // namespace

Result<ChosenBackup> choose_backup(const Invocation& invocation) {
  const std::string& vm = invocation.arguments[0];
  auto settings = settings_for(invocation, vm, Needs::kRepository);
  if (!settings) return std::move(settings).error();
  auto repository = Repository::open(settings->repository);
  if (!repository) return std::move(repository).error();
  auto backup = repository->find(vm, invocation.arguments[1]);
  if (!backup) return std::move(backup).error();
  auto disks = chosen_disks(*backup, invocation);
  if (!disks) return std::move(disks).error();
  auto use = repository::Use::of(*repository, *backup, *disks);
  if (!use) return std::move(use).error();
  return ChosenBackup{std::move(*settings), std::move(*repository), std::move(*backup),
                      std::move(*disks), std::move(*use)};
}

}  // namespace holdfast::host::command
