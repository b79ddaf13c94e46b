// SPDX-License-Identifier: MIT
#include "base/duration.h"

#include <array>
#include <charconv>
#include <cstdio>
#include <ctime>
#include <limits>

namespace holdfast::base {

namespace {

struct Unit {
  std::string_view name;
  Millis::rep factor;
};
// Largest first: format_duration() takes the first one that divides.
constexpr std::array<Unit, 4> kUnits{{{"h", 3600000}, {"min", 60000}, {"s", 1000}, {"ms", 1}}};

}  // namespace

Result<Millis> parse_duration(std::string_view text) {
  Millis::rep number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, problem] = std::from_chars(text.data(), end, number);
  const std::string_view unit(rest, static_cast<std::size_t>(end - rest));
  if (problem == std::errc{} && number >= 0) {
    for (const Unit& known : kUnits) {
      if (unit != known.name) continue;
      if (number > std::numeric_limits<Millis::rep>::max() / known.factor) break;
      return Millis(number * known.factor);
    }
  }
  return Error(ErrorCode::kUsage, "'" + std::string(text) + "' is not a duration")
      .with_hint("write a whole number and a unit: 500ms, 15s, 2min, 1h");
}

std::string format_duration(Millis span) {
  for (const Unit& unit : kUnits) {
    if (span.count() != 0 && span.count() % unit.factor == 0) {
      return std::to_string(span.count() / unit.factor) + std::string(unit.name);
    }
  }
  return std::to_string(span.count()) + "ms";
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
