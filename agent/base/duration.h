// SPDX-License-Identifier: MIT
//
// Durations as people write them. Units: ms, s, min, h. A bare number is refused: it is the
// commonest mistake in configuration files that nobody notices.
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace holdfast::base {

// "15s", "500ms", "2min", "1h". One whole number and one unit, nothing around it.
[[nodiscard]] Result<Millis> parse_duration(std::string_view text);
// The shortest of these forms that is exact: 15000 ms is "15s".
[[nodiscard]] std::string format_duration(Millis span);
// RFC 3339 in UTC with milliseconds: "2026-11-20T18:04:43.120Z".
[[nodiscard]] std::string format_time(WallTime time);

}  // namespace holdfast::base
