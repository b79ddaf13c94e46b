// SPDX-License-Identifier: MIT
//
// What a container sees below its root and an archive of that root does not hold: other filesystems
// that are mounted there, directories of the host that are bound there, and subvolumes.
//
// Threads: plain functions. Errors: as of the file that is read.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace holdfast::host::container {

struct OtherMount {
  std::string path;  // as in the container, printable
  std::string kind;  // "ext4"

  [[nodiscard]] bool operator==(const OtherMount& other) const = default;
};

// Of the text of /proc/PID/mountinfo; what the kernel makes up, and what is in memory alone, is
// none: nobody misses it in a backup.
[[nodiscard]] std::vector<OtherMount> parse_other_mounts(std::string_view mountinfo);
[[nodiscard]] base::Result<std::vector<OtherMount>> other_mounts(pid_t leader);

// Every path at which anything is mounted, those as well.
[[nodiscard]] std::vector<std::string> parse_mount_points(std::string_view mountinfo);
[[nodiscard]] base::Result<std::vector<std::string>> mount_points(pid_t leader);

// The paths that `btrfs subvolume list -o` names, of those below `inside`; all of them if empty.
[[nodiscard]] std::vector<std::string> parse_subvolumes(std::string_view listing,
                                                        const std::string& inside);

}  // namespace holdfast::host::container
