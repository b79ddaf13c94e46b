// SPDX-License-Identifier: MIT
//
// What a server has that decides how it is best held; lock_choice.h says how. A plain value.
#pragma once

#include <cstdint>
#include <optional>

namespace holdfast::mysql {

struct Survey {
  // MariaDB: slave_parallel_threads, and whether a source is configured; unknown if the account may
  // not see it.
  std::uint64_t parallel_threads = 0;
  std::optional<bool> replica;
  // MySQL: base tables that the account can see, the system's own among them, and how many of the
  // users' are kept by another engine than InnoDB. To an account without a privilege on tables the
  // server shows none, and no error; to one with a privilege on some, those.
  bool sees_every_table = false;
  std::uint64_t visible_tables = 0;
  std::uint64_t tables_outside_innodb = 0;
  // MySQL: BACKUP_ADMIN, and SELECT on performance_schema.log_status.
  bool may_lock_instance = false;
  bool reads_log_status = false;
};

}  // namespace holdfast::mysql
