// SPDX-License-Identifier: MIT
#include "repository/chain.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

namespace holdfast::host::repository {

using base::Error;
using base::ErrorCode;
using base::Result;

namespace {

Error too_long(const std::string& id) {
  return {ErrorCode::kCorrupt, "unable to use backup '" + id + "': it stands on more than " +
                                   std::to_string(kLongestChain - 1) + " others"};
}

Result<Backup> backup_below(const Repository& repository, const std::string& vm,
                            const std::string& id, const std::string& below) {
  auto found = repository.find(vm, below);
  if (found) return found;
  return Error(ErrorCode::kCorrupt,
               "unable to use backup '" + below + "', on which '" + id + "' stands")
      .caused_by(std::move(found).error());
}

}  // namespace

Result<std::vector<StoredImage>> images_of(const Repository& repository, const Backup& backup,
                                           const DiskEntry& disk) {
  std::vector<StoredImage> images{{backup.manifest.id, backup.directory, disk}};
  while (!images.back().disk.backing_id.empty()) {
    if (images.size() == kLongestChain) return too_long(backup.manifest.id);
    const StoredImage& above = images.back();
    auto below = backup_below(repository, backup.manifest.vm, above.id, above.disk.backing_id);
    if (!below) return std::move(below).error();
    std::vector<DiskEntry>& disks = below->manifest.disks;
    const auto same = std::find_if(disks.begin(), disks.end(), [&](const DiskEntry& candidate) {
      return candidate.name == disk.name;
    });
    if (same == disks.end()) {
      return Error(ErrorCode::kCorrupt, "unable to use backup '" + below->manifest.id +
                                            "', on which '" + above.id + "' stands: it has no " +
                                            "disk '" + disk.name + "'");
    }
    images.push_back(
        {std::move(below->manifest.id), std::move(below->directory), std::move(*same)});
  }
  return images;
}

Result<std::vector<std::string>> chain_of(const Repository& repository, const Backup& backup) {
  std::vector<std::string> ids{backup.manifest.id};
  std::string parent = backup.manifest.parent();
  while (!parent.empty()) {
    if (ids.size() == kLongestChain) return too_long(backup.manifest.id);
    auto below = backup_below(repository, backup.manifest.vm, ids.back(), parent);
    if (!below) return std::move(below).error();
    ids.push_back(below->manifest.id);
    parent = below->manifest.parent();
  }
  return ids;
}

std::vector<std::optional<std::size_t>> chain_lengths(const std::vector<Summary>& backups) {
  std::map<std::string_view, std::size_t> known;
  std::vector<std::optional<std::size_t>> lengths;
  lengths.reserve(backups.size());
  // Oldest first: what a backup stands on has been seen before it.
  for (const Summary& backup : backups) {
    std::optional<std::size_t> length = 1;
    if (const std::string& parent = backup.parent; !parent.empty()) {
      const auto below = known.find(parent);
      length.reset();
      if (below != known.end() && below->second < kLongestChain) length = below->second + 1;
    }
    if (length) known.emplace(backup.id, *length);
    lengths.push_back(length);
  }
  return lengths;
}

}  // namespace holdfast::host::repository
