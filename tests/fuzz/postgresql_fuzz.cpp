// SPDX-License-Identifier: MIT
//
// What a PostgreSQL server says (plugins/postgresql): positions in its log, and the label and map
// of a backup, which are kept byte for byte.
#include <array>
#include <cstdio>

#include "base/file.h"
#include "fuzz.h"
#include "postgresql/backup_files.h"
#include "postgresql/log_position.h"
#include "support/temporary_directory.h"

namespace holdfast::fuzz {

namespace {

void check_position(std::string_view text) {
  const auto position = postgresql::parse_lsn(text);
  if (!position) return;
  std::array<char, 32> shown{};
  // As the server writes it (src/include/access/xlogdefs.h, LSN_FORMAT_ARGS).
  (void)std::snprintf(shown.data(), shown.size(), "%X/%X", static_cast<unsigned>(*position >> 32U),
                      static_cast<unsigned>(*position));
  const auto again = postgresql::parse_lsn(shown.data());
  require(again && *again == *position, "a position is read back as it was");
}

void check_files(std::string_view input) {
  constexpr std::size_t kKept = 20;
  static const support::TemporaryDirectory kDirectory;
  Bytes bytes(input);
  postgresql::BackupStop stop;
  stop.lsn = bytes.text();
  stop.tablespace_map = bytes.text();
  stop.label = bytes.rest();
  const std::string window = "7d3c0b0e-8a51-4c43-9d0d-2f6f1d3f9a10";
  require(postgresql::write_backup_files(kDirectory.path(), window, stop, kKept).has_value(),
          "written");
  const std::string place = kDirectory.path() + "/" + window + "/";
  const std::size_t limit = input.size() + 1;
  require(base::read_file(place + "backup_label", limit).value_or("") == stop.label,
          "the label is kept byte for byte");
  if (!stop.tablespace_map.empty()) {
    require(base::read_file(place + "tablespace_map", limit).value_or("") == stop.tablespace_map,
            "the map is kept byte for byte");
  }
  // A name that is not one leaves the directory alone.
  if (const auto odd = postgresql::write_backup_files(kDirectory.path(), stop.lsn, stop, kKept);
      !odd) {
    require(is_one_safe_line(odd.error().one_line()), "the error is one safe line");
  }
}

}  // namespace

void check(std::string_view input) {
  check_position(input);
  check_files(input);
}

}  // namespace holdfast::fuzz
