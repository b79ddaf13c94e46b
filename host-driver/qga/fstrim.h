// SPDX-License-Identifier: MIT
//
// guest-fstrim: the guest tells the disks below its filesystems which places hold nothing. Where
// the disk passes discards on, these places become holes, and a copy has less to read and to keep.
//
// It may take minutes, it cannot be called off, and the agent does nothing else meanwhile: after a
// time-out it goes on in the guest, and whatever is asked next waits for its end.
//
// What the guest says is bounded and printable when it leaves here, and no more than said: nothing
// depends on it.
//
// Threads, errors: as Agent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "qga/agent.h"

namespace holdfast::host::qga {

// More mount points than this are counted and not named.
inline constexpr std::size_t kMostTrimmedPaths = 64;

// What the agent says of a filesystem, or of a disk below it, that knows no discards (QEMU:
// qga/commands-posix.c, qmp_guest_fstrim). Many a guest has one.
inline constexpr std::string_view kTrimNotSupported = "trim not supported";

struct TrimmedPath {
  std::string path;
  // None: it was not trimmed, or the guest says no number that can be.
  std::optional<std::uint64_t> bytes;
  std::string error;  // empty: none
};

struct TrimReport {
  std::vector<TrimmedPath> paths;
  std::size_t left_out = 0;
  // Of those that are named.
  std::uint64_t bytes = 0;
};

[[nodiscard]] base::Result<TrimReport> trim(Agent& agent, base::Deadline deadline,
                                            const std::stop_token& stop);
// The value of "return" (QEMU: qga/qapi-schema.json, GuestFilesystemTrimResponse). kProtocol for
// what is none.
[[nodiscard]] base::Result<TrimReport> parse_trim(const base::Json& answer);

}  // namespace holdfast::host::qga
