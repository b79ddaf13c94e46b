// SPDX-License-Identifier: MIT
#include "base/duration.h"

#include <array>
#include <cstdio>
#include <ctime>

#include "base/units.h"

namespace holdfast::base {

namespace {

// Largest first: format_with_unit() takes the first one that divides.
constexpr std::array<Unit, 4> kUnits{{{"h", 3600000}, {"min", 60000}, {"s", 1000}, {"ms", 1}}};

}  // namespace

Result<Millis> parse_duration(std::string_view text) {
  if (const auto millis = parse_with_unit(text, kUnits)) return Millis(*millis);
  return Error(ErrorCode::kUsage, "'" + std::string(text) + "' is not a duration")
      .with_hint("write a whole number and a unit: 500ms, 15s, 2min, 1h");
}

std::string format_duration(Millis span) {
  return format_with_unit(span.count(), kUnits, "ms");
}

std::string format_time(WallTime time) {
  const auto since_epoch = std::chrono::floor<Millis>(time).time_since_epoch();
  const std::time_t seconds = std::chrono::floor<std::chrono::seconds>(since_epoch).count();
  const auto millis = since_epoch.count() - seconds * 1000;
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  std::array<char, 40> text{};
  const std::size_t length = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &utc);
  std::array<char, 8> tail{};
  std::snprintf(tail.data(), tail.size(), ".%03dZ", static_cast<int>(millis));
  return std::string(text.data(), length) + tail.data();
}

}  // namespace holdfast::base
