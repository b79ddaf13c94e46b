// SPDX-License-Identifier: MIT
//
// Chains: the backups that an increment cannot be restored without. They lead strictly back in
// time, so that none closes; how long one may be is bounded.
//
// Threads: one at a time. Errors: kCorrupt for a chain that cannot be followed to its end, naming
// the backup at which it breaks.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "repository/repository.h"
#include "repository/summary.h"

namespace holdfast::host::repository {

// As many images as qemu-img follows on its own: it puts "../ID/" after "../ID/" into one path, 29
// characters each, and a path ends at 4096 (PATH_MAX). This leaves 1100 of them for where the
// repository stands.
inline constexpr std::size_t kLongestChain = 100;

// One image of a chain: of which backup, and where it lies.
struct StoredImage {
  std::string id;
  std::string directory;
  DiskEntry disk;
};

// The images that hold a disk of this backup, its own first.
[[nodiscard]] base::Result<std::vector<StoredImage>> images_of(const Repository& repository,
                                                               const Backup& backup,
                                                               const DiskEntry& disk);

// The backups that this one needs, itself first; their ids.
[[nodiscard]] base::Result<std::vector<std::string>> chain_of(const Repository& repository,
                                                              const Backup& backup);

// The same for a whole listing of one machine, without reading anything again: how many backups
// each needs, itself included; nothing where one of them is missing or the chain is too long.
[[nodiscard]] std::vector<std::optional<std::size_t>> chain_lengths(
    const std::vector<Summary>& backups);

}  // namespace holdfast::host::repository
