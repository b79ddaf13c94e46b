// SPDX-License-Identifier: MIT
//
// A machine that goes back to a restore point with its memory, inside the QEMU that runs: what
// Points::resume() does, and what whoever comes after an interrupted one finishes.
//
//   kSaving    what is there is being saved as a point: that one is taken away again
//   kApplying  QEMU loads, or is about to: its job tells how it ended. No job, in the same QEMU: it
//              never began. Another QEMU: nobody knows
//   kWaking    the machine is back; its guest is thawed and its clock set
//
// Threads: plain functions, one at a time. Errors: what an administrator will read.
#pragma once

#include <string>
#include <vector>

#include "config/settings.h"
#include "point/points.h"
#include "point/store.h"
#include "qmp/block_graph.h"
#include "qmp/client.h"
#include "run/wake_guest.h"
#include "snapshot/internal/memory_jobs.h"

namespace holdfast::host::run {

// Of the memory that would be kept now, in the image of the first disk; for how long the machine
// will stand still is not known yet. kUnsupported for a machine that cannot be saved.
[[nodiscard]] base::Result<point::PointMemory> memory_to_keep(const config::Settings& settings,
                                                              qmp::Client& monitor,
                                                              const qmp::BlockGraph& graph);

// By the nodes that have the point's images open now. kRefused if the machine has other disks.
[[nodiscard]] base::Result<snapshot::MemoryJob> memory_job(const point::Point& point,
                                                           const qmp::BlockGraph& graph);

// QEMU's process, for as long as it lives: no other has the same. Empty if that is not known.
[[nodiscard]] std::string process_of(const qmp::Client& monitor);

struct Finished {
  // False: the machine is as it was.
  bool reverted = false;
  std::string why_not;
  Woken woken;
};
// The revert of `points`, which is one with memory, at least being applied. If it failed, what was
// there is loaded again, and that point is to be removed then. It is saved whenever it changes; on
// failure it stays.
[[nodiscard]] base::Result<Finished> finish_resumption(const config::Settings& settings,
                                                       qmp::Client& monitor, point::Points& points,
                                                       const point::Store& store);

// The same, when the driver is dead, for its guardian: under the machine's lock. Nothing if there
// is no such revert.
[[nodiscard]] base::Result<void> finish_resumption_of(const config::Settings& settings,
                                                      base::Deadline deadline);

}  // namespace holdfast::host::run
