// SPDX-License-Identifier: MIT
//
// Rows in MariaDB: an InnoDB table, and by its trigger an Aria and a MyISAM table in step with it,
// neither of them crash-safe. One statement writes all three, so that under a global read lock they
// agree, and a copy made without one shows it.
//
// Threads: one.
#pragma once

#include <mysql.h>

#include <memory>
#include <string>

#include "commits.h"

namespace holdfast::tools {

struct MysqlClose {
  void operator()(MYSQL* mysql) const { mysql_close(mysql); }
};

class MysqlCommits final : public Commits {
 public:
  explicit MysqlCommits(std::string socket) : socket_(std::move(socket)) {}

  [[nodiscard]] base::Result<std::uint64_t> open() override;
  [[nodiscard]] base::Result<void> commit(std::uint64_t number) override;

 private:
  [[nodiscard]] base::Result<void> run(const std::string& statement);
  [[nodiscard]] base::Error error(const std::string& what) const;

  std::string socket_;
  std::unique_ptr<MYSQL, MysqlClose> mysql_;
};

}  // namespace holdfast::tools
