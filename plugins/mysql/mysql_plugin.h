// SPDX-License-Identifier: MIT
//
// MySQL and MariaDB as a resource: writers are held by FLUSH TABLES WITH READ LOCK.
//
//   probe()    connects the lock and the control session, checks the account's privileges
//   prepare()  MySQL 8: LOCK INSTANCE FOR BACKUP against DDL, as far as the account may; flushes
//   the
//              redo log; waits, bounded, for statements that the lock would have to wait for while
//              every writer already queues behind it
//   hold()     FTWRL within lock-timeout; proof; flush of the redo log; position
//
// Policy for statements in the way: wait, then fail; never kill.
//
// There is no FLUSH TABLES beforehand: on MySQL it stalls behind a long SELECT as the lock does,
// and on MariaDB 10.11 it gained nothing (median of hold() under three writers 1.4 ms with and
// without).
//
// Threads and ownership: api/plugin.h. Errors name the resource.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "api/plugin.h"
#include "mysql/mysql_settings.h"
#include "mysql/session_pair.h"

namespace holdfast::mysql {

class MysqlPlugin final : public api::Plugin {
 public:
  using Plugin::Plugin;

  [[nodiscard]] base::OptionTable option_table() const override { return mysql_option_table(); }
  [[nodiscard]] base::Result<api::ProbeReport> probe(base::Deadline deadline,
                                                     std::stop_token stop) override;
  [[nodiscard]] int watch_fd() const override { return sessions_.lock().fd(); }
  [[nodiscard]] base::Result<void> prepare(const api::Window& window, base::Deadline deadline,
                                           std::stop_token stop) override;
  [[nodiscard]] base::Result<std::unique_ptr<api::Hold>> hold(const api::Window& window,
                                                              base::Deadline deadline,
                                                              std::stop_token stop) override;
  void rollback(base::Deadline deadline) override;
  void interrupt() override { sessions_.interrupt(); }

 private:
  [[nodiscard]] base::Result<void> do_finish_config() override;
  [[nodiscard]] base::Result<void> connect(const Patience& patience);
  // Checks what the account may do; the warnings are what it would be better to grant as well.
  [[nodiscard]] base::Result<std::vector<std::string>> check_privileges(const Patience& patience);
  [[nodiscard]] bool instance_lock_exists() const;
  [[nodiscard]] base::Result<void> wait_out_long_statements(const Patience& patience);
  // "unable to … 'mysql:main'", for a cause.
  [[nodiscard]] base::Error unable(const std::string& what, base::Error cause) const;

  MysqlSettings settings_;
  SessionPair sessions_;
  bool may_lock_instance_ = false;
  bool instance_locked_ = false;
};

}  // namespace holdfast::mysql
