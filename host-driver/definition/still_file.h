// SPDX-License-Identifier: MIT
//
// A small file that somebody else may be writing to, as it was at one moment.
//
// Threads: plain function.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>

#include "base/result.h"

namespace holdfast::host::definition {

struct StillFile {
  std::string content;
  std::chrono::system_clock::time_point modified;
};

// Read until two readings are the same, and nothing was written between them. kTooLarge beyond
// `limit` bytes, kBusy if it does not come to rest within a second or so. `between` is called
// between two readings.
[[nodiscard]] base::Result<StillFile> read_still_file(const std::string& path, std::size_t limit,
                                                      const std::function<void()>& between = {});

}  // namespace holdfast::host::definition
