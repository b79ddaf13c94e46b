// SPDX-License-Identifier: MIT
//
// How consistent a backup is, worst first, so that levels compare.
#pragma once

#include <array>
#include <optional>
#include <string_view>

namespace holdfast::host::repository {

enum class Level {
  kCrash,        // one instant of all disks, as after a power cut
  kFilesystem,   // frozen and thawed with equal counts
  kApplication,  // and the guest has proven that its holds were unbroken throughout
};

inline constexpr std::array<std::string_view, 3> kLevelNames{"crash", "filesystem", "application"};

[[nodiscard]] constexpr std::string_view name_of(Level level) {
  return kLevelNames[static_cast<std::size_t>(level)];
}

[[nodiscard]] constexpr std::optional<Level> level_named(std::string_view name) {
  for (std::size_t i = 0; i < kLevelNames.size(); ++i) {
    if (kLevelNames[i] == name) return static_cast<Level>(i);
  }
  return std::nullopt;
}

}  // namespace holdfast::host::repository
