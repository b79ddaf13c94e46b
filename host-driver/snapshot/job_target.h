// SPDX-License-Identifier: MIT
//
// The file that a backup job copies a disk to, whoever starts the job.
//
// Threads: plain function. Errors: those of QemuImg; kNoSpace.
#pragma once

#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "image/qemu_img.h"
#include "qmp/block_graph.h"
#include "snapshot/increment.h"

namespace holdfast::host::snapshot {

// An empty qcow2 image at `path`, over the parent's if the plan is an increment, with room set
// aside for what the plan copies: see room.h.
[[nodiscard]] base::Result<void> make_job_target(const std::string& path, const qmp::Disk& disk,
                                                 const DiskPlan& plan, image::QemuImg& images,
                                                 base::Deadline deadline);

}  // namespace holdfast::host::snapshot
