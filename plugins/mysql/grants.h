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

// What is missing for a freeze, in the words that GRANT takes; empty if nothing is.
[[nodiscard]] std::vector<std::string> missing_privileges(const std::set<std::string>& held,
                                                          const ServerVersion& version,
                                                          bool binary_log);

[[nodiscard]] bool has_privilege(const std::set<std::string>& held, const std::string& privilege);

// CURRENT_USER() as GRANT takes it: "holdfast@localhost" becomes 'holdfast'@'localhost'.
[[nodiscard]] std::string quoted_account(std::string_view current_user);

}  // namespace holdfast::mysql
