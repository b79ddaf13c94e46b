// SPDX-License-Identifier: MIT
#include "mysql_commits.h"

#include <cstdlib>

#include "base/text.h"

namespace holdfast::tools {

namespace {

constexpr const char* kTables[] = {
    "CREATE DATABASE IF NOT EXISTS holdfast_lab",
    "CREATE TABLE IF NOT EXISTS holdfast_lab.commits_innodb "
    "(number BIGINT UNSIGNED PRIMARY KEY, digest CHAR(32) NOT NULL) ENGINE=InnoDB",
    "CREATE TABLE IF NOT EXISTS holdfast_lab.commits_aria "
    "(number BIGINT UNSIGNED PRIMARY KEY, digest CHAR(32) NOT NULL) ENGINE=Aria TRANSACTIONAL=0",
    "CREATE TABLE IF NOT EXISTS holdfast_lab.commits_myisam "
    "(number BIGINT UNSIGNED PRIMARY KEY, digest CHAR(32) NOT NULL) ENGINE=MyISAM",
    "CREATE TRIGGER IF NOT EXISTS holdfast_lab.in_step AFTER INSERT "
    "ON holdfast_lab.commits_innodb FOR EACH ROW BEGIN "
    "INSERT INTO holdfast_lab.commits_aria VALUES (NEW.number, NEW.digest); "
    "INSERT INTO holdfast_lab.commits_myisam VALUES (NEW.number, NEW.digest); END",
};

struct FreeResult {
  void operator()(MYSQL_RES* result) const { mysql_free_result(result); }
};

}  // namespace

base::Error MysqlCommits::error(const std::string& what) const {
  return {base::ErrorCode::kIo, "unable to " + what + ": error " +
                                    std::to_string(mysql_errno(mysql_.get())) + ", " +
                                    base::printable(mysql_error(mysql_.get()))};
}

base::Result<void> MysqlCommits::run(const std::string& statement) {
  if (mysql_real_query(mysql_.get(), statement.data(), statement.size()) != 0) {
    return error("run '" + statement.substr(0, 60) + "'");
  }
  return {};
}

base::Result<std::uint64_t> MysqlCommits::open() {
  mysql_.reset(mysql_init(nullptr));
  if (!mysql_) return base::Error(base::ErrorCode::kInternal, "unable to start the client library");
  if (mysql_real_connect(mysql_.get(), nullptr, nullptr, nullptr, nullptr, 0, socket_.c_str(), 0) ==
      nullptr) {
    return error("connect to '" + socket_ + "'");
  }
  for (const char* statement : kTables) {
    if (auto done = run(statement); !done) return done.error();
  }
  if (auto done = run("SELECT COALESCE(MAX(number), 0) FROM holdfast_lab.commits_innodb"); !done) {
    return done.error();
  }
  const std::unique_ptr<MYSQL_RES, FreeResult> result(mysql_store_result(mysql_.get()));
  MYSQL_ROW row = result ? mysql_fetch_row(result.get()) : nullptr;
  if (row == nullptr || row[0] == nullptr) return error("read the highest number");
  return std::uint64_t{std::strtoull(row[0], nullptr, 10)};
}

base::Result<void> MysqlCommits::commit(std::uint64_t number) {
  const std::string text = std::to_string(number);
  return run("INSERT INTO holdfast_lab.commits_innodb VALUES (" + text + ", MD5(" + text + "))");
}

}  // namespace holdfast::tools
