// SPDX-License-Identifier: MIT
#include "mysql/grants.h"

#include <algorithm>
#include <cctype>

#include "base/text.h"

namespace holdfast::mysql {

std::set<std::string> global_privileges(const std::vector<std::string>& lines) {
  constexpr std::string_view kGrant = "GRANT ";
  std::set<std::string> privileges;
  for (const std::string& line : lines) {
    const std::size_t end = line.find(" ON *.* TO ");
    if (!line.starts_with(kGrant) || end == std::string::npos) continue;
    std::string_view list(line);
    list = list.substr(kGrant.size(), end - kGrant.size());
    while (!list.empty()) {
      const std::size_t comma = std::min(list.find(','), list.size());
      std::string privilege(base::trimmed(list.substr(0, comma)));
      std::transform(privilege.begin(), privilege.end(), privilege.begin(),
                     [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
      privileges.insert(std::move(privilege));
      list.remove_prefix(std::min(comma + 1, list.size()));
    }
  }
  return privileges;
}

bool has_privilege(const std::set<std::string>& held, const std::string& privilege) {
  return held.contains(privilege) || held.contains("ALL PRIVILEGES") || held.contains("ALL");
}

std::vector<std::string> missing_privileges(const std::set<std::string>& held,
                                            const ServerVersion& version, bool binary_log) {
  std::vector<std::string> missing;
  for (const char* privilege : {"RELOAD", "PROCESS"}) {
    if (!has_privilege(held, privilege)) missing.emplace_back(privilege);
  }
  if (!binary_log) return missing;
  // MariaDB 10.5.2 renamed REPLICATION CLIENT; SUPER has meant both for longer (MDEV-21743).
  const bool renamed = version.flavour == Flavour::kMariadb && version.at_least(10, 5);
  const std::string position = renamed ? "BINLOG MONITOR" : "REPLICATION CLIENT";
  if (!has_privilege(held, position) && !has_privilege(held, "SUPER")) missing.push_back(position);
  return missing;
}

std::string quoted_account(std::string_view current_user) {
  const std::size_t at = std::min(current_user.rfind('@'), current_user.size());
  const std::string_view host = current_user.substr(std::min(at + 1, current_user.size()));
  return "'" + base::printable(current_user.substr(0, at)) + "'@'" + base::printable(host) + "'";
}

}  // namespace holdfast::mysql
