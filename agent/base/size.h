// SPDX-License-Identifier: MIT
//
// Amounts of bytes as people write them. Units: KiB, MiB, GiB, TiB, and no others: who writes "M"
// may mean a million or 1048576, and a bare number anything.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace holdfast::base {

// "64KiB", "50MiB", "1GiB". One whole number and one unit, nothing around it.
[[nodiscard]] Result<std::int64_t> parse_size(std::string_view text);
// The shortest of these forms that is exact; what none fits is a number and "B".
[[nodiscard]] std::string format_size(std::int64_t bytes);

}  // namespace holdfast::base
