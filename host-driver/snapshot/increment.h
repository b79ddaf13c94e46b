// SPDX-License-Identifier: MIT
//
// For each disk: can this run copy what has changed since the latest backup, or has it to copy
// everything, and why? Decided from what the repository has and what the block graph says; changes
// nothing.
//
// Threads: plain values and functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "qmp/block_graph.h"

namespace holdfast::host::snapshot {

// A disk of the latest published backup.
struct ParentDisk {
  std::string name;
  std::uint64_t virtual_size = 0;
  // What stands in the header of an image on top of its own: "../ID/DISK.qcow2".
  std::string reference;
  // Why nothing can stand on its image; empty if it can.
  std::string problem;
};

// The latest published backup, which increments would stand on.
struct Parent {
  std::string id;
  std::vector<ParentDisk> disks;
  // Why none can; empty if they can.
  std::string problem;
};

struct DiskPlan {
  // Empty: only what has changed is copied.
  std::string full_because;
  // How much that is, in bytes.
  std::uint64_t changed = 0;
  // The parent's image, as the copy names it; empty for a full copy.
  std::string reference;

  [[nodiscard]] bool increment() const { return full_because.empty(); }
};

[[nodiscard]] DiskPlan plan_disk(const qmp::Disk& disk, const Parent& parent,
                                 const std::string& tag);

}  // namespace holdfast::host::snapshot
