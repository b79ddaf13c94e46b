// SPDX-License-Identifier: MIT
//
// What may the account do? Read from SHOW GRANTS, because two of the statements that a freeze needs
// do not fail without their privilege: the process list quietly shows one's own threads only, and
// so a long statement of somebody else would be met with the lock already pending.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "mysql/server_version.h"

namespace holdfast::mysql {

// The privileges on *.*, in upper case, out of the lines of SHOW GRANTS; lines of active roles
// count, those about single databases do not. "ALL PRIVILEGES" is one of them.
[[nodiscard]] std::set<std::string> global_privileges(const std::vector<std::string>& lines);

// What a freeze is to do, as far as privileges depend on it.
struct Needs {
  bool binary_log = true;
  // LOCK INSTANCE FOR BACKUP, not as a help for FTWRL but in its place.
  bool instance_lock = false;
  // Ends statements of other accounts.
  bool kills = false;
};

// What is missing for a freeze, in the words that GRANT takes; empty if nothing is.
//
//                          MySQL 5.7            MySQL 8.0 and later   MariaDB 10.5 and later
//   always                 RELOAD, PROCESS      RELOAD, PROCESS       RELOAD, PROCESS
//   a binary log           REPLICATION CLIENT   REPLICATION CLIENT    BINLOG MONITOR
//   lock = instance        -                    BACKUP_ADMIN          -
//   policy kill-…          SUPER                CONNECTION_ADMIN      CONNECTION ADMIN
//
// Before 10.5 MariaDB is as MySQL 5.7. RELOAD covers BACKUP STAGE too. `lock = instance` also needs
// SELECT on performance_schema.log_status, which isn't a privilege on everything: it is asked for
// by reading it.
[[nodiscard]] std::vector<std::string> missing_privileges(const std::set<std::string>& held,
                                                          const ServerVersion& version,
                                                          const Needs& needs);

// MariaDB 10.5 and later: for SHOW ALL SLAVES STATUS. Elsewhere the privilege for the binary log's
// position covers it.
[[nodiscard]] bool may_see_sources(const std::set<std::string>& held, const ServerVersion& version);

// Does the account hold a privilege on all tables, so that information_schema shows them all? No
// where partial revokes take some out again (MySQL).
[[nodiscard]] bool sees_every_table(const std::set<std::string>& held,
                                    const std::vector<std::string>& lines);

[[nodiscard]] bool has_privilege(const std::set<std::string>& held, const std::string& privilege);

// CURRENT_USER() as GRANT takes it: "holdfast@localhost" becomes 'holdfast'@'localhost'.
[[nodiscard]] std::string quoted_account(std::string_view current_user);

}  // namespace holdfast::mysql
