// SPDX-License-Identifier: MIT
#include "base/size.h"

#include <array>

#include "base/units.h"

namespace holdfast::base {

namespace {

// Largest first: format_with_unit() takes the first one that divides.
constexpr std::array<Unit, 4> kUnits{{{"TiB", std::int64_t{1} << 40U},
                                      {"GiB", std::int64_t{1} << 30U},
                                      {"MiB", std::int64_t{1} << 20U},
                                      {"KiB", std::int64_t{1} << 10U}}};

}  // namespace

Result<std::int64_t> parse_size(std::string_view text) {
  if (const auto bytes = parse_with_unit(text, kUnits)) return *bytes;
  return Error(ErrorCode::kUsage, "'" + std::string(text) + "' is not a size")
      .with_hint("write a whole number and a unit: 64KiB, 50MiB, 1GiB");
}

std::string format_size(std::int64_t bytes) {
  return format_with_unit(bytes, kUnits, "B");
}

}  // namespace holdfast::base
