// SPDX-License-Identifier: MIT
//
// The postgresql plugin, in both modes, against the real server that the runner has started.
#include <libpq-fe.h>

#include <csignal>
#include <stdexcept>

#include "contract/contract.h"
#include "support/temporary_directory.h"

namespace holdfast::contract {
namespace {

// The administrator's own connection.
class Administrator {
 public:
  Administrator()
      : handle_(PQconnectdb(
            ("host=" + environment("HOLDFAST_TEST_POSTGRESQL_SOCKET") +
             " dbname=postgres user=" + environment("HOLDFAST_TEST_POSTGRESQL_ADMINISTRATOR"))
                .c_str())) {
    if (PQstatus(handle_) != CONNECTION_OK) throw std::runtime_error(PQerrorMessage(handle_));
    run("SET lock_timeout = '1s'");
    run("SET client_min_messages = error");
  }
  Administrator(const Administrator&) = delete;
  Administrator& operator=(const Administrator&) = delete;
  ~Administrator() { PQfinish(handle_); }

  bool try_to(const std::string& statement) {
    PGresult* result = PQexec(handle_, statement.c_str());
    const ExecStatusType status = PQresultStatus(result);
    PQclear(result);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
  }
  void run(const std::string& statement) {
    if (!try_to(statement)) throw std::runtime_error(statement + ": " + PQerrorMessage(handle_));
  }

 private:
  PGconn* handle_;
};

class PostgresqlSubject final : public Subject {
 public:
  explicit PostgresqlSubject(std::string mode) : mode_(std::move(mode)) {
    administrator_.run("CREATE TABLE IF NOT EXISTS contract (a INT)");
  }

  std::unique_ptr<api::Plugin> make() override {
    return plugin_from(HOLDFAST_POSTGRESQL_MODULE,
                       {"postgresql:contract", processes_, state_.path()});
  }
  std::vector<base::Setting> settings() const override {
    return {{"socket", environment("HOLDFAST_TEST_POSTGRESQL_SOCKET"), "test.conf:1"},
            {"user", environment("HOLDFAST_TEST_POSTGRESQL_USER"), "test.conf:2"},
            {"mode", mode_, "test.conf:3"}};
  }

  bool can_end_session() const override { return true; }
  void end_session(const api::Identity& identity) override {
    administrator_.run("SELECT pg_terminate_backend(" + identity.session_id + ")");
  }

  // Nothing that others do delays a checkpoint for long, but a server that stops answering does.
  bool can_block() const override { return true; }
  void block() override { pause(); }
  void unblock() override { resume(); }

  bool can_pause() const override { return true; }
  void pause() override { signal_family(server_, SIGSTOP); }
  void resume() override { signal_family(server_, SIGCONT); }

  bool others_can_write() override {
    return administrator_.try_to("INSERT INTO contract VALUES (1)");
  }

 private:
  std::string mode_;
  base::SystemProcessRunner processes_;
  support::TemporaryDirectory state_;
  pid_t server_ = static_cast<pid_t>(std::stol(environment("HOLDFAST_TEST_POSTGRESQL_PID")));
  Administrator administrator_;
};

const Registration kCheckpoint("postgresql_checkpoint",
                               [] { return std::make_unique<PostgresqlSubject>("checkpoint"); });
const Registration kBackup("postgresql_backup",
                           [] { return std::make_unique<PostgresqlSubject>("backup"); });

}  // namespace
}  // namespace holdfast::contract
