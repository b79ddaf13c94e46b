// SPDX-License-Identifier: MIT
//
// What a MySQL or MariaDB server says of itself and of others' statements (plugins/mysql): its
// version, the grants of our account, and the process list. The input's first line is the version.
#include <set>
#include <vector>

#include "fuzz.h"
#include "mysql/grants.h"
#include "mysql/server_version.h"
#include "mysql/statements.h"

namespace holdfast::fuzz {

namespace {

mysql::ServerVersion check_version(const std::string& text) {
  const mysql::ServerVersion version = mysql::parse_version(text);
  const bool is_mariadb = text.find("MariaDB") != std::string::npos;
  require((version.flavour == mysql::Flavour::kMariadb) == is_mariadb, "the word decides");
  std::string plain = std::to_string(version.major) + "." + std::to_string(version.minor) + "." +
                      std::to_string(version.patch);
  if (is_mariadb) plain += "-MariaDB";
  const mysql::ServerVersion again = mysql::parse_version(plain);
  // "5.5.5-" in front of a MariaDB's number is not part of it.
  if (!plain.starts_with("5.5.5-")) {
    require(again.major == version.major && again.minor == version.minor &&
                again.patch == version.patch,
            "a version is read back as it was");
  }
  require(version.at_least(version.major, version.minor), "it is at least itself");
  return version;
}

void check_grants(const mysql::ServerVersion& version, const std::vector<std::string>& lines) {
  const std::set<std::string> held = mysql::global_privileges(lines);
  for (unsigned wanted = 0; wanted < 8; ++wanted) {
    const mysql::Needs needs{(wanted & 1U) != 0, (wanted & 2U) != 0, (wanted & 4U) != 0};
    std::set<std::string> granted = held;
    for (const std::string& privilege : mysql::missing_privileges(held, version, needs)) {
      require(!mysql::has_privilege(held, privilege), "what is missing is not held");
      granted.insert(privilege);
    }
    require(mysql::missing_privileges(granted, version, needs).empty(),
            "once it is granted, nothing is missing");
  }
  std::vector<std::string> database_only;
  for (const std::string& line : lines) {
    if (line.find(" ON *.* TO ") == std::string::npos) database_only.push_back(line);
  }
  require(mysql::global_privileges(database_only).empty(), "a database's grants do not count");
}

void check_statement(const mysql::ServerVersion& version, const std::string& statement) {
  const mysql::StatementKind kind = mysql::kind_of(statement);
  require(!kind.selects || kind.reads_only, "a select reads");
  require(!kind.reads_only || !kind.changes_schema, "what reads changes nothing");
  const mysql::StatementKind commented = mysql::kind_of(" /* app */ (" + statement);
  require(commented.reads_only == kind.reads_only && commented.selects == kind.selects &&
              commented.changes_schema == kind.changes_schema,
          "a comment in front changes nothing");
  if (version.flavour == mysql::Flavour::kMysql) {
    require(mysql::delays_read_lock(version, kind), "on MySQL every statement delays the lock");
  }
  const mysql::StatementKind write = mysql::kind_of("update t set a = 1 where b = '" + statement);
  require(!write.selects && !write.reads_only, "a write is none of those that may be killed");
  require(mysql::delays_read_lock(version, write), "and delays the lock whatever it says");
}

void check_texts(const std::string& line) {
  mysql::RunningStatement statement;
  statement.session = 7;
  statement.user = line;
  statement.age = base::Millis{17'200};
  require(is_one_safe_line(mysql::description_of(statement)), "a description is one safe line");
  require(is_one_safe_line(mysql::epitaph_of(statement)), "and so is an epitaph");
  require(is_one_safe_line(mysql::quoted_account(line)), "an account is one safe line");
}

}  // namespace

void check(std::string_view input) {
  std::vector<std::string> lines;
  for (std::string_view rest = input; !rest.empty();) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    lines.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  const mysql::ServerVersion version = check_version(lines.empty() ? "" : lines.front());
  check_grants(version, lines);
  for (const std::string& line : lines) {
    check_statement(version, line);
    check_texts(line);
  }
}

}  // namespace holdfast::fuzz
