// SPDX-License-Identifier: MIT
#include "mysql/grants.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/text.h"

namespace holdfast::mysql {

namespace {

// Each of them, on a table, makes that table visible in information_schema.
constexpr std::array<const char*, 5> kTablePrivileges{"SELECT", "REFERENCES", "INSERT", "UPDATE",
                                                      "DELETE"};

// MariaDB 10.5.2 renamed REPLICATION CLIENT and took much of SUPER apart (MDEV-21743).
bool splits_super(const ServerVersion& version) {
  return version.flavour == Flavour::kMariadb && version.at_least(10, 5);
}

}  // namespace

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
                                            const ServerVersion& version, const Needs& needs) {
  std::vector<std::string> missing;
  for (const char* privilege : {"RELOAD", "PROCESS"}) {
    if (!has_privilege(held, privilege)) missing.emplace_back(privilege);
  }
  if (needs.binary_log) {
    const std::string position = splits_super(version) ? "BINLOG MONITOR" : "REPLICATION CLIENT";
    if (!has_privilege(held, position) && !has_privilege(held, "SUPER")) {
      missing.push_back(position);
    }
  }
  if (needs.instance_lock && !has_privilege(held, "BACKUP_ADMIN")) {
    missing.emplace_back("BACKUP_ADMIN");
  }
  if (needs.kills && !has_privilege(held, "SUPER")) {
    const bool mysql8 = version.flavour == Flavour::kMysql && version.at_least(8, 0);
    const std::string kill = mysql8                  ? "CONNECTION_ADMIN"
                             : splits_super(version) ? "CONNECTION ADMIN"
                                                     : "SUPER";
    if (!has_privilege(held, kill)) missing.push_back(kill);
  }
  return missing;
}

bool may_see_sources(const std::set<std::string>& held, const ServerVersion& version) {
  if (!splits_super(version)) return true;
  return has_privilege(held, "SLAVE MONITOR") || has_privilege(held, "REPLICA MONITOR");
}

bool sees_every_table(const std::set<std::string>& held, const std::vector<std::string>& lines) {
  const bool revoked = std::any_of(lines.begin(), lines.end(), [](const std::string& line) {
    return line.starts_with("REVOKE ");
  });
  return !revoked && std::any_of(kTablePrivileges.begin(), kTablePrivileges.end(),
                                 [&](const char* name) { return has_privilege(held, name); });
}

std::string quoted_account(std::string_view current_user) {
  const std::size_t at = std::min(current_user.rfind('@'), current_user.size());
  const std::string_view host = current_user.substr(std::min(at + 1, current_user.size()));
  return "'" + base::printable(current_user.substr(0, at)) + "'@'" + base::printable(host) + "'";
}

}  // namespace holdfast::mysql
