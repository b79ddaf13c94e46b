// SPDX-License-Identifier: MIT
//
// Rows in PostgreSQL: one table, one commit per row, synchronous.
//
// Threads: one.
#pragma once

#include <libpq-fe.h>

#include <memory>
#include <string>

#include "commits.h"

namespace holdfast::tools {

struct PgFinish {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};
struct PgClear {
  void operator()(PGresult* result) const { PQclear(result); }
};
using PgResult = std::unique_ptr<PGresult, PgClear>;

class PostgresqlCommits final : public Commits {
 public:
  // `conninfo` as libpq takes it.
  explicit PostgresqlCommits(std::string conninfo) : conninfo_(std::move(conninfo)) {}

  [[nodiscard]] base::Result<std::uint64_t> open() override;
  [[nodiscard]] base::Result<void> commit(std::uint64_t number) override;

 private:
  [[nodiscard]] base::Result<PgResult> run(const std::string& statement);

  std::string conninfo_;
  std::unique_ptr<PGconn, PgFinish> connection_;
};

}  // namespace holdfast::tools
