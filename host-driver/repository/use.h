// SPDX-License-Identifier: MIT
//
// Backups that somebody reads for a while, and that no retention may remove meanwhile. A shared
// flock(2) on the manifests of a backup and of those that its disks stand on: any number of readers
// side by side, runs go on beside them, and the kernel lets go when the reader dies.
//
// Threads: any. Ownership: the backups stay as long as the object lives.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "repository/repository.h"

namespace holdfast::host::repository {

class Use {
 public:
  // kLocked if one of them is being removed at this moment, kNotFound if it just was, kCorrupt for
  // a chain that cannot be followed.
  // Only what these disks of it stand on matters.
  [[nodiscard]] static base::Result<Use> of(const Repository& repository, const Backup& backup,
                                            const std::vector<DiskEntry>& disks);

 private:
  explicit Use(std::vector<base::UniqueFd> manifests) : manifests_(std::move(manifests)) {}

  std::vector<base::UniqueFd> manifests_;
};

// Does anybody read the backup in this directory now?
[[nodiscard]] bool is_used(const std::string& directory);

// For its removal: nobody reads it, and nobody will as long as the descriptor is open. kLocked.
[[nodiscard]] base::Result<base::UniqueFd> claim(const std::string& directory);

}  // namespace holdfast::host::repository
