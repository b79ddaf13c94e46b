// SPDX-License-Identifier: MIT
//
// Subvolumes of btrfs: what is one, and the commands that make and remove snapshots of them.
//
// Threads: plain functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/process_runner.h"
#include "base/result.h"

namespace holdfast::host::snapshot {

// May this process delete subvolumes, CAP_SYS_ADMIN? As root inside the sandbox of a unit is not
// enough.
[[nodiscard]] bool may_administer();
// kPermission if not, for who would delete snapshots.
[[nodiscard]] base::Result<void> check_administer();
[[nodiscard]] bool is_on_btrfs(const std::string& path);
// Is it a directory, and the top of a subvolume? Follows no link at its end.
[[nodiscard]] bool is_subvolume(const std::string& path);
// The top of the subvolume that holds this directory, which may be itself; empty if it is not to be
// seen: a subvolume that is mounted by a directory in it has no top there.
[[nodiscard]] std::string subvolume_above(std::string directory);
// The same for a file that must be one on btrfs; kUnsupported if it is not, or the top not to be
// seen. `path` is absolute, without symbolic links.
[[nodiscard]] base::Result<std::string> subvolume_of(const std::string& path);
// Two directories of one filesystem, whatever their subvolumes are?
[[nodiscard]] base::Result<bool> same_filesystem(const std::string& one, const std::string& other);

// Read-only.
[[nodiscard]] std::vector<std::string> snapshot_command(const std::string& source,
                                                        const std::string& path);
// Gone for good when it ends.
[[nodiscard]] std::vector<std::string> delete_command(const std::string& path);
// What refuses to delete anything but a subvolume; true if there is one.
[[nodiscard]] base::Result<bool> check_delete(const std::string& path);
// Both; no error if nothing was there.
[[nodiscard]] base::Result<void> delete_subvolume(base::ProcessRunner& processes,
                                                  const std::string& path, base::Deadline deadline);

// What no other subvolume has, and so what would be free without it, in bytes: as the quota groups
// of the filesystem count it, when it was last committed. None if they are not on, or this process
// may not ask.
[[nodiscard]] std::optional<std::uint64_t> exclusive_bytes(base::ProcessRunner& processes,
                                                           const std::string& path,
                                                           base::Deadline deadline);
// In what `btrfs qgroup show --raw -f` prints.
[[nodiscard]] std::optional<std::uint64_t> exclusive_in(std::string_view output);

}  // namespace holdfast::host::snapshot
