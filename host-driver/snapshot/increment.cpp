// SPDX-License-Identifier: MIT
#include "snapshot/increment.h"

#include <algorithm>

#include "snapshot/bitmaps.h"

namespace holdfast::host::snapshot {

DiskPlan plan_disk(const qmp::Disk& disk, const Parent& parent, const std::string& tag) {
  const auto full = [](std::string reason) { return DiskPlan{std::move(reason), 0, {}}; };
  if (!parent.problem.empty()) return full(parent.problem);
  const auto below =
      std::find_if(parent.disks.begin(), parent.disks.end(),
                   [&](const ParentDisk& candidate) { return candidate.name == disk.name; });
  if (below == parent.disks.end()) return full("the backup '" + parent.id + "' has no such disk");
  if (below->virtual_size != disk.virtual_size) {
    return full("its size has changed from " + std::to_string(below->virtual_size) + " to " +
                std::to_string(disk.virtual_size) + " bytes");
  }
  if (!below->problem.empty()) return full(below->problem);
  const std::string name = bitmap_name(tag, parent.id, disk.name);
  if (std::string problem = bitmap_problem(disk, name); !problem.empty()) {
    return full(std::move(problem));
  }
  const auto bitmap =
      std::find_if(disk.bitmaps.begin(), disk.bitmaps.end(),
                   [&](const qmp::Bitmap& candidate) { return candidate.name == name; });
  return {{}, std::min(bitmap->count, disk.virtual_size), below->reference};
}

}  // namespace holdfast::host::snapshot
