// SPDX-License-Identifier: MIT
#include "snapshot/increment.h"

#include <algorithm>

#include "snapshot/bitmaps.h"
#include "snapshot/in_parent.h"

namespace holdfast::host::snapshot {

using base::Error;
using base::ErrorCode;
using base::Result;

Result<const ParentDisk*> find_in_parent(const qmp::Disk& disk, const Parent& parent) {
  const auto not_on = [](std::string reason) {
    return Error(ErrorCode::kUnsupported, std::move(reason));
  };
  if (!parent.problem.empty()) return not_on(parent.problem);
  const auto below =
      std::find_if(parent.disks.begin(), parent.disks.end(),
                   [&](const ParentDisk& candidate) { return candidate.name == disk.name; });
  if (below == parent.disks.end()) {
    return not_on("the backup '" + parent.id + "' has no such disk");
  }
  if (below->virtual_size != disk.virtual_size) {
    return not_on("its size has changed from " + std::to_string(below->virtual_size) + " to " +
                  std::to_string(disk.virtual_size) + " bytes");
  }
  if (!below->problem.empty()) return not_on(below->problem);
  return &*below;
}

DiskPlan plan_disk(const qmp::Disk& disk, const Parent& parent, const std::string& tag) {
  const auto full = [](std::string reason) { return DiskPlan{std::move(reason), 0, {}}; };
  const auto below = find_in_parent(disk, parent);
  if (!below) return full(below.error().message());
  const std::string name = bitmap_name(tag, parent.id, disk.name);
  if (std::string problem = bitmap_problem(disk, name); !problem.empty()) {
    return full(std::move(problem));
  }
  const auto bitmap =
      std::find_if(disk.bitmaps.begin(), disk.bitmaps.end(),
                   [&](const qmp::Bitmap& candidate) { return candidate.name == name; });
  return {{}, std::min(bitmap->count, disk.virtual_size), (*below)->reference};
}

}  // namespace holdfast::host::snapshot
