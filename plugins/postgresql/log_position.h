// SPDX-License-Identifier: MIT
//
// A position in the write-ahead log (LSN), as PostgreSQL writes it: "16/B374D848".
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace holdfast::postgresql {

// Nothing if it is not one.
[[nodiscard]] std::optional<std::uint64_t> parse_lsn(std::string_view text);

}  // namespace holdfast::postgresql
