// SPDX-License-Identifier: MIT
//
// Which disks may have their overlay committed while the guest writes.
//
// At the end of an active commit QEMU holds back what the device asks for, moves the disk to its
// base and lets go on what it held back. Before 8.2 it does that before the base has got back the
// permission to write its file, and where the base is raw, it dies of an assertion (block/io.c,
// bdrv_co_write_req_prepare: child->perm & BLK_PERM_WRITE; block/mirror.c, mirror_exit_common,
// drains the target for the whole of it from 8.2 on). A qcow2 image keeps that permission, for its
// tables. Of devices, virtio's with an ioeventfd ask for nothing meanwhile: QEMU does not look at
// their queues then. All others can: IDE, SATA, NVMe, USB, other SCSI controllers. Flash is left
// out: a guest writes it when it changes a UEFI variable.
//
// Threads, errors: as qmp::Client; kUnsupported names the disk.
#pragma once

#include <string_view>
#include <vector>

#include "qmp/block_graph.h"
#include "qmp/client.h"

namespace holdfast::host::snapshot {

// "7.2.22"; a version that says nothing counts as one that is safe.
[[nodiscard]] bool dies_at_commit_end(std::string_view version);

// Of a machine whose devices QEMU's own monitor shows.
[[nodiscard]] base::Result<void> check_commit_end(qmp::Client& monitor,
                                                  const std::vector<qmp::Disk>& disks,
                                                  base::Deadline deadline);

// Of one of libvirt's, whose definition has said it already.
[[nodiscard]] base::Result<void> check_commit_end(std::string_view version,
                                                  const std::vector<qmp::Disk>& disks);

}  // namespace holdfast::host::snapshot
