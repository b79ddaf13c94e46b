// SPDX-License-Identifier: MIT
#include "snapshot/job_target.h"

#include "snapshot/room.h"

namespace holdfast::host::snapshot {

using base::Deadline;
using base::Result;

Result<void> make_job_target(const std::string& path, const qmp::Disk& disk, const DiskPlan& plan,
                             image::QemuImg& images, Deadline deadline) {
  auto made = plan.increment()
                  ? images.create_increment(path, plan.reference, disk.virtual_size, deadline)
                  : images.create(path, disk.virtual_size, deadline);
  if (!made) return made;
  return reserve_room(path,
                      plan.increment() ? room_for_changes(disk, plan.changed) : room_for(disk));
}

}  // namespace holdfast::host::snapshot
