// SPDX-License-Identifier: MIT
//
// The mysql plugin against the real server that the runner has started.
#include <mysql.h>

#include <csignal>
#include <cstdlib>
#include <stdexcept>
#include <utility>

#include "contract/contract.h"

namespace holdfast::contract {
namespace {

// The administrator's own connection.
class Administrator {
 public:
  Administrator() : handle_(mysql_init(nullptr)) {
    const std::string socket = environment("HOLDFAST_TEST_MYSQL_SOCKET");
    if (mysql_real_connect(handle_, nullptr, nullptr, nullptr, nullptr, 0, socket.c_str(), 0) ==
        nullptr) {
      throw std::runtime_error(mysql_error(handle_));
    }
    run("SET SESSION lock_wait_timeout=1");
  }
  Administrator(const Administrator&) = delete;
  Administrator& operator=(const Administrator&) = delete;
  ~Administrator() { mysql_close(handle_); }

  bool try_to(const std::string& statement) {
    return mysql_real_query(handle_, statement.data(), statement.size()) == 0;
  }
  void run(const std::string& statement) {
    if (!try_to(statement)) throw std::runtime_error(statement + ": " + mysql_error(handle_));
  }

 private:
  MYSQL* handle_;
};

class MysqlSubject final : public Subject {
 public:
  explicit MysqlSubject(std::string lock) : lock_(std::move(lock)) {
    administrator_.run("CREATE DATABASE IF NOT EXISTS contract");
    administrator_.run("CREATE TABLE IF NOT EXISTS contract.t (a INT) ENGINE=InnoDB");
    administrator_.run("CREATE TABLE IF NOT EXISTS contract.locked (a INT) ENGINE=InnoDB");
  }

  std::unique_ptr<api::Plugin> make() override {
    return plugin_from(HOLDFAST_MYSQL_MODULE, {"mysql:contract", processes_, ""});
  }
  std::vector<base::Setting> settings() const override {
    return {{"socket", environment("HOLDFAST_TEST_MYSQL_SOCKET"), "test.conf:1"},
            {"password-file", environment("HOLDFAST_TEST_MYSQL_PASSWORD_FILE"), "test.conf:2"},
            {"lock-timeout", "10s", "test.conf:3"},
            {"lock", lock_, "test.conf:4"}};
  }

  bool can_end_session() const override { return true; }
  void end_session(const api::Identity& identity) override {
    administrator_.run("KILL " + identity.session_id);
  }

  // An instance lock waits for nothing that could be begun and left standing.
  bool can_block() const override { return holds_writers(); }
  void block() override { blocker_.run("LOCK TABLES contract.locked WRITE"); }
  void unblock() override { blocker_.run("UNLOCK TABLES"); }

  bool can_pause() const override { return true; }
  void pause() override { signal_family(server_, SIGSTOP); }
  void resume() override { signal_family(server_, SIGCONT); }

  bool holds_writers() const override { return lock_ != "instance"; }
  bool others_can_write() override {
    return administrator_.try_to("INSERT INTO contract.t VALUES (1)");
  }

 private:
  std::string lock_;
  base::SystemProcessRunner processes_;
  pid_t server_ = static_cast<pid_t>(std::stol(environment("HOLDFAST_TEST_MYSQL_PID")));
  Administrator administrator_;
  Administrator blocker_;
};

std::function<std::unique_ptr<Subject>()> holding_by(const std::string& lock) {
  return [lock] { return std::make_unique<MysqlSubject>(lock); };
}

const Registration kFtwrl("mysql_ftwrl", holding_by("ftwrl"));
// Each product has a lighter lock of its own.
bool on_mysql() {
  const char* lock = std::getenv("HOLDFAST_TEST_MYSQL_LIGHT_LOCK");
  return lock != nullptr && std::string(lock) == "instance";
}
const Registration kLight(on_mysql() ? "mysql_instance" : "mysql_backup_stage",
                          holding_by(on_mysql() ? "instance" : "backup-stage"));

}  // namespace
}  // namespace holdfast::contract
