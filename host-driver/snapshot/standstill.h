// SPDX-License-Identifier: MIT
//
// A machine that stands still for as long as its storage is told to take a snapshot.
//
// Below QEMU nothing is at one instant by itself: of a qcow2 image QEMU holds tables in memory that
// are not in the file, requests are under way, and several files or volumes are snapshotted one
// after the other. `stop` ends all of that: the processors stop, QEMU waits for all requests, then
// flushes every image, tables first (QEMU: system/cpus.c, do_vm_stop(): bdrv_drain_all(),
// bdrv_flush_all(); in this order also if the machine was paused already). It does not answer for
// the flush: that a host's disk fails is seen when the snapshot is read, or not at all, as in any
// crash.
//
// A frozen guest alone would not do: it flushes what its filesystems wrote, but not what goes past
// them (swap, raw volumes, FAT), and it keeps QEMU from nothing.
//
// Threads: plain functions; they block until QEMU answers. Errors: as qmp::Client.
#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "qmp/client.h"

namespace holdfast::host::snapshot {

// Do its processors run?
[[nodiscard]] base::Result<bool> is_running(qmp::Client& monitor, base::Deadline deadline);

// May be repeated; a machine that does not run is flushed all the same.
[[nodiscard]] base::Result<void> stand_still(qmp::Client& monitor, base::Deadline deadline);

// Only of a machine that is paused: whatever else it is, it is not our doing. True if it was.
[[nodiscard]] base::Result<bool> go_on(qmp::Client& monitor, base::Deadline deadline);

}  // namespace holdfast::host::snapshot
