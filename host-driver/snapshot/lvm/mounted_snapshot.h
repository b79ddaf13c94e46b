// SPDX-License-Identifier: MIT
//
// The filesystem in a snapshot of a volume, to be read from while its original is mounted. It is
// mounted nowhere: a descriptor is all there is of the mount, and the kernel undoes it when the
// last process that has it is gone, however that came. No mount point is left, and nobody else sees
// it.
//
// Threads: plain values. Errors: with what the kernel says of it.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"

namespace holdfast::host::snapshot {

// Where a file or directory is within its filesystem: "/vm/web1.qcow2", wherever and whichever part
// of it is mounted. `path` is absolute, without symbolic links.
[[nodiscard]] base::Result<std::string> path_in_filesystem(const std::string& path);
// The same with the text of /proc/self/mountinfo, for the mount of this number.
[[nodiscard]] base::Result<std::string> path_in_filesystem(std::string_view mountinfo,
                                                           std::uint64_t mount,
                                                           const std::string& path);

// Can the filesystem of this file be read from a snapshot? Its name, as mount(8) has it;
// kUnsupported if not.
[[nodiscard]] base::Result<std::string> filesystem_of(const std::string& path);

class MountedSnapshot {
 public:
  // Read-only; nothing is replayed: the device mapper froze the filesystem when the snapshot was
  // made, so that its log has nothing to say.
  [[nodiscard]] static base::Result<MountedSnapshot> of(const std::string& device,
                                                        const std::string& filesystem);

  // A name under which the programs that this process starts find the file or directory that
  // `original` was at the instant. kCorrupt if it is another one.
  [[nodiscard]] base::Result<std::string> path_of(const std::string& original) const;

 private:
  explicit MountedSnapshot(base::UniqueFd top) : top_(std::move(top)) {}

  base::UniqueFd top_;
};

}  // namespace holdfast::host::snapshot
