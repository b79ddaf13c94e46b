// SPDX-License-Identifier: MIT
//
// Strategies by the name that stands in configuration and manifests.
#pragma once

#include <memory>
#include <string_view>

#include "snapshot/strategy.h"

namespace holdfast::host::snapshot {

// kConfiguration for a name that nobody bears.
[[nodiscard]] base::Result<std::unique_ptr<Strategy>> make_strategy(std::string_view name,
                                                                    StrategyContext context);

}  // namespace holdfast::host::snapshot
