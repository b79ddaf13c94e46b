// SPDX-License-Identifier: MIT
#include "postgresql/log_position.h"

#include <array>
#include <charconv>
#include <cstdio>

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

std::string wal_file_of(std::uint32_t timeline, std::uint64_t lsn, std::uint64_t segment_size) {
  const std::uint64_t segment = (lsn == 0 ? 0 : lsn - 1) / segment_size;
  const std::uint64_t per_half = (std::uint64_t{1} << 32U) / segment_size;
  std::array<char, 25> name{};
  (void)std::snprintf(name.data(), name.size(), "%08X%08X%08X", timeline,
                      static_cast<std::uint32_t>(segment / per_half),
                      static_cast<std::uint32_t>(segment % per_half));
  return name.data();
}

}  // namespace holdfast::postgresql
