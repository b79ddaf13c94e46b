// SPDX-License-Identifier: MIT
#include "base/units.h"

#include <charconv>
#include <limits>
#include <system_error>

namespace holdfast::base {

std::optional<std::int64_t> parse_with_unit(std::string_view text, std::span<const Unit> units) {
  std::int64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, problem] = std::from_chars(text.data(), end, number);
  const std::string_view unit(rest, static_cast<std::size_t>(end - rest));
  if (problem != std::errc{} || number < 0) return std::nullopt;
  for (const Unit& known : units) {
    if (unit != known.name) continue;
    if (number > std::numeric_limits<std::int64_t>::max() / known.factor) return std::nullopt;
    return number * known.factor;
  }
  return std::nullopt;
}

std::string format_with_unit(std::int64_t number, std::span<const Unit> units,
                             std::string_view otherwise) {
  for (const Unit& unit : units) {
    if (number != 0 && number % unit.factor == 0) {
      return std::to_string(number / unit.factor) + std::string(unit.name);
    }
  }
  return std::to_string(number) + std::string(otherwise);
}

}  // namespace holdfast::base
