// SPDX-License-Identifier: MIT
//
// How the nodes and jobs in QEMU are called that are ours, whatever the method: by their names a
// later run finds what an interrupted one left.
//
// Threads: plain values and functions.
#pragma once

#include <string>
#include <string_view>

namespace holdfast::host::snapshot {

inline constexpr std::string_view kNodePrefix = "holdfast-";

// What begins the names of one run: "holdfast-1f3a9c0b-".
[[nodiscard]] inline std::string run_prefix(const std::string& run) {
  return std::string(kNodePrefix) + run + "-";
}

// Of one disk: "holdfast-1f3a9c0b-0" (QEMU allows 31 characters for a node).
[[nodiscard]] inline std::string node_name(const std::string& run, std::size_t index) {
  return run_prefix(run) + std::to_string(index);
}

}  // namespace holdfast::host::snapshot
