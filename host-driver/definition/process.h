// SPDX-License-Identifier: MIT
//
// Processes of this host by /proc: which one stands behind a socket, and what it was started with.
// A process may be another user's, or in another namespace: then it is not to be had, with a
// reason. Its words are its own account of itself, and are taken for no more.
//
// Threads: plain functions.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "definition/command_line.h"

namespace holdfast::host::definition {

// Never empty.
[[nodiscard]] base::Result<Words> command_line_of(pid_t process);
// Empty if it is not to be had.
[[nodiscard]] std::string working_directory_of(pid_t process);
// The file name of its first word: "qemu-system-x86_64".
[[nodiscard]] std::string_view program_name(const Words& words);

// The path as the process means it: beginning at '/'. Empty if that is not known.
[[nodiscard]] std::string absolute_path(const std::string& path, pid_t process);

// The processes that have the socket bound at this absolute path open, on the side that bound it,
// as seen from the network namespace of `near` (0: of this process): a unit of systemd may have one
// of its own. Those of other users are only seen by root.
[[nodiscard]] std::vector<pid_t> socket_holders(const std::string& path, pid_t near);

// QEMU's process, behind a connected monitor: who listens at the other end (0: unknown), or else
// somebody who has the socket. Whoever made the socket for QEMU is no QEMU.
[[nodiscard]] base::Result<pid_t> find_qemu(pid_t peer, const std::string& monitor_path);

}  // namespace holdfast::host::definition
