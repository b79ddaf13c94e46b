// SPDX-License-Identifier: MIT
//
// A whole number and its unit, nothing around it: how sizes and durations are written.
//
// Threads: plain functions.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace holdfast::base {

struct Unit {
  std::string_view name;
  std::int64_t factor;
};

// Nothing for what is negative, too large, or without one of these units.
[[nodiscard]] std::optional<std::int64_t> parse_with_unit(std::string_view text,
                                                          std::span<const Unit> units);
// By the first unit that divides it; with `otherwise` if none does, or it is 0.
[[nodiscard]] std::string format_with_unit(std::int64_t number, std::span<const Unit> units,
                                           std::string_view otherwise);

}  // namespace holdfast::base
