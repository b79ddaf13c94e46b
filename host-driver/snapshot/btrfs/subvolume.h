// SPDX-License-Identifier: MIT
//
// What can be seen of btrfs by stat(2), and its subvolumes' end.
//
// Threads: any.
#pragma once

#include <string>

#include "base/clock.h"
#include "base/process_runner.h"
#include "base/result.h"

namespace holdfast::host::snapshot {

// False also for what cannot be looked at.
[[nodiscard]] bool is_on_btrfs(const std::string& path);

// The top directory of a subvolume, by itself and not through a link. False: nothing is there;
// kRefused for anything else that is.
[[nodiscard]] base::Result<bool> is_subvolume(const std::string& path);

// The subvolume that the file is in, by the path of its top directory; `path` is absolute, without
// symbolic links. kUnsupported for what is no file on btrfs, and where the top is not mounted.
[[nodiscard]] base::Result<std::string> subvolume_of(const std::string& path);

// Gone for good when it returns; no error if nothing was there.
[[nodiscard]] base::Result<void> delete_subvolume(base::ProcessRunner& processes,
                                                  const std::string& path, base::Deadline deadline);

}  // namespace holdfast::host::snapshot
