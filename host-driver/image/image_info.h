// SPDX-License-Identifier: MIT
//
// What `qemu-img info --output=json` says of one image, whatever stands below it.
//
// Threads: plain values. Errors: kProtocol, kTooLarge.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace holdfast::host::image {

struct ImageSnapshot {
  std::string name;
  // In seconds since 1970.
  std::int64_t time = 0;
  // Of the machine's memory, in bytes; 0: there is none.
  std::uint64_t memory = 0;
};

struct ImageInfo {
  std::string format;
  // The file below, as QEMU would open it; empty: there is none.
  std::string backing_file;
  // A qcow2 image whose data are in another file.
  bool has_data_file = false;
  bool encrypted = false;
  std::vector<ImageSnapshot> snapshots;
  // The names of those that are stored in it.
  std::vector<std::string> bitmaps;

  [[nodiscard]] const ImageSnapshot* snapshot(std::string_view name) const;
};

inline constexpr std::size_t kInfoLimit = std::size_t{4} << 20U;

[[nodiscard]] base::Result<ImageInfo> parse_image_info(std::string_view text);

}  // namespace holdfast::host::image
