// SPDX-License-Identifier: MIT
#include "base/size.h"

#include <array>
#include <charconv>
#include <limits>

namespace holdfast::base {

namespace {

struct Unit {
  std::string_view name;
  std::int64_t factor;
};
// Largest first: format_size() takes the first one that divides.
constexpr std::array<Unit, 4> kUnits{{{"TiB", std::int64_t{1} << 40U},
                                      {"GiB", std::int64_t{1} << 30U},
                                      {"MiB", std::int64_t{1} << 20U},
                                      {"KiB", std::int64_t{1} << 10U}}};

}  // namespace

Result<std::int64_t> parse_size(std::string_view text) {
  std::int64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, problem] = std::from_chars(text.data(), end, number);
  const std::string_view unit(rest, static_cast<std::size_t>(end - rest));
  if (problem == std::errc{} && number >= 0) {
    for (const Unit& known : kUnits) {
      if (unit != known.name) continue;
      if (number > std::numeric_limits<std::int64_t>::max() / known.factor) break;
      return number * known.factor;
    }
  }
  return Error(ErrorCode::kUsage, "'" + std::string(text) + "' is not a size")
      .with_hint("write a whole number and a unit: 64KiB, 50MiB, 1GiB");
}

std::string format_size(std::int64_t bytes) {
  for (const Unit& unit : kUnits) {
    if (bytes != 0 && bytes % unit.factor == 0) {
      return std::to_string(bytes / unit.factor) + std::string(unit.name);
    }
  }
  return std::to_string(bytes) + "B";
}

}  // namespace holdfast::base
