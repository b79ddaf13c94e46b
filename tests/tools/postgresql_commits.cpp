// SPDX-License-Identifier: MIT
#include "postgresql_commits.h"

#include <cstdlib>

#include "base/text.h"

namespace holdfast::tools {

namespace {

constexpr const char* kTable =
    "SET client_min_messages = warning; SET synchronous_commit = on; "
    "CREATE TABLE IF NOT EXISTS holdfast_lab_commits "
    "(number bigint PRIMARY KEY, digest char(32) NOT NULL)";

}  // namespace

base::Result<PgResult> PostgresqlCommits::run(const std::string& statement) {
  PgResult result(PQexec(connection_.get(), statement.c_str()));
  const ExecStatusType status = PQresultStatus(result.get());
  if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
    return base::Error(base::ErrorCode::kIo,
                       "unable to run '" + statement.substr(0, 60) +
                           "': " + base::printable(PQerrorMessage(connection_.get())));
  }
  return result;
}

base::Result<std::uint64_t> PostgresqlCommits::open() {
  connection_.reset(PQconnectdb(conninfo_.c_str()));
  if (PQstatus(connection_.get()) != CONNECTION_OK) {
    return base::Error(base::ErrorCode::kUnreachable,
                       "unable to connect to '" + conninfo_ +
                           "': " + base::printable(PQerrorMessage(connection_.get())));
  }
  if (auto made = run(kTable); !made) return made.error();
  auto highest = run("SELECT COALESCE(MAX(number), 0) FROM holdfast_lab_commits");
  if (!highest) return highest.error();
  return std::uint64_t{std::strtoull(PQgetvalue(highest->get(), 0, 0), nullptr, 10)};
}

base::Result<void> PostgresqlCommits::commit(std::uint64_t number) {
  const std::string text = std::to_string(number);
  auto done = run("INSERT INTO holdfast_lab_commits VALUES (" + text + ", md5('" + text + "'))");
  if (!done) return done.error();
  return {};
}

}  // namespace holdfast::tools
