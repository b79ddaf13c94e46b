// SPDX-License-Identifier: MIT
//
// Strategies by the name that stands in configuration and manifests.
#pragma once

#include <array>
#include <memory>
#include <string_view>

#include "snapshot/strategy.h"

namespace holdfast::host::snapshot {

inline constexpr std::array<std::string_view, 6> kMethods{"overlay", "backup",  "btrfs",
                                                          "lvm",     "reflink", "checkpoint"};

// kConfiguration for a name that nobody bears.
[[nodiscard]] base::Result<std::unique_ptr<Strategy>> make_strategy(std::string_view name,
                                                                    StrategyContext context);

}  // namespace holdfast::host::snapshot
