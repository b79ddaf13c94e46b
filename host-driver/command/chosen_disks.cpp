// SPDX-License-Identifier: MIT
#include "command/chosen_disks.h"

#include <algorithm>

#include "base/text.h"

namespace holdfast::host::command {

using base::Error;
using base::ErrorCode;
using base::Result;
using repository::Backup;
using repository::DiskEntry;

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

}  // namespace holdfast::host::command
