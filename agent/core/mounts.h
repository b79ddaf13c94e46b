// SPDX-License-Identifier: MIT
//
// Which filesystems a freeze concerns: /proc/self/mountinfo, read as the kernel writes it
// (Documentation/filesystems/proc.rst, 3.5).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace holdfast::core {

struct Mount {
  std::string device;       // "259:1": one superblock
  std::string root;         // which part of the filesystem is mounted there
  std::string mount_point;  // unescaped
  std::string type;
  std::string source;
  bool writable = false;  // the superblock, not this mount of it
};

// kCorrupt if a line is not of that form.
[[nodiscard]] base::Result<std::vector<Mount>> parse_mountinfo(std::string_view text);

// The mount points of all writable filesystems on block devices, each superblock once, where it is
// mounted whole if it is, and by its shortest path. Filesystems in user space are left out: their
// server may stand on what is going to be frozen.
//
// The superblock's own flag decides, not the mount's: in a service's sandbox '/' is mounted
// read-only, and is the guest's root all the same.
[[nodiscard]] std::vector<std::string> freezable(const std::vector<Mount>& mounts);

// Both on the file of this process, without what is mounted of a single file.
[[nodiscard]] base::Result<std::vector<std::string>> freezable_here();

}  // namespace holdfast::core
