// SPDX-License-Identifier: MIT
#include "postgresql/log_position.h"

#include <charconv>

namespace holdfast::postgresql {

namespace {

std::optional<std::uint32_t> parse_half(std::string_view text) {
  std::uint32_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, problem] = std::from_chars(text.data(), end, number, 16);
  if (problem != std::errc{} || rest != end) return std::nullopt;
  return number;
}

}  // namespace

std::optional<std::uint64_t> parse_lsn(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto high = parse_half(text.substr(0, slash));
  const auto low = parse_half(text.substr(slash + 1));
  if (!high || !low) return std::nullopt;
  return (std::uint64_t{*high} << 32U) | *low;
}

}  // namespace holdfast::postgresql
