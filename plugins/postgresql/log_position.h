// SPDX-License-Identifier: MIT
//
// A position in the write-ahead log (LSN), as PostgreSQL writes it: "16/B374D848"; and the name of
// the file that holds it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace holdfast::postgresql {

// Nothing if it is not one.
[[nodiscard]] std::optional<std::uint64_t> parse_lsn(std::string_view text);

// The file with the last byte before `lsn`: "000000010000001600000005" (access/xlog_internal.h,
// XLByteToPrevSeg and XLogFileName). Not asked of the server: pg_walfile_name() does not work on a
// standby, and at the border of two files it names the one or the other, depending on the version.
[[nodiscard]] std::string wal_file_of(std::uint32_t timeline, std::uint64_t lsn,
                                      std::uint64_t segment_size);

}  // namespace holdfast::postgresql
