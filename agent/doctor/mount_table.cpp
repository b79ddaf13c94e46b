// SPDX-License-Identifier: MIT
#include "doctor/mount_table.h"

#include <algorithm>
#include <set>

#include "core/mounts.h"

namespace holdfast::doctor {

MountTable MountTable::of(const World& world, int pid) {
  MountTable table;
  auto text = pid > 0 ? world.read("/proc/" + std::to_string(pid) + "/mountinfo") : std::nullopt;
  if (!text) text = world.read("/proc/self/mountinfo");
  if (!text) return table;
  const auto mounts = core::parse_mountinfo(*text);
  if (!mounts) return table;
  table.known_ = true;
  table.frozen_ = core::freezable(*mounts);
  std::set<std::string> devices;
  for (const core::Mount& mount : *mounts) {
    if (std::find(table.frozen_.begin(), table.frozen_.end(), mount.mount_point) !=
        table.frozen_.end()) {
      devices.insert(mount.device);
    }
  }
  for (const core::Mount& mount : *mounts) {
    table.mounts_.push_back({mount.device, mount.mount_point, mount.type, mount.source,
                             mount.writable, devices.contains(mount.device)});
  }
  return table;
}

const MountedAt* MountTable::holding(const std::string& path) const {
  const MountedAt* found = nullptr;
  for (const MountedAt& mount : mounts_) {
    const std::string& at = mount.mount_point;
    const bool inside = at == "/" || path == at ||
                        (path.starts_with(at) && path.size() > at.size() && path[at.size()] == '/');
    // Of two at the same place, the later one hides the earlier.
    if (inside && (found == nullptr || at.size() >= found->mount_point.size())) found = &mount;
  }
  return found;
}

}  // namespace holdfast::doctor
