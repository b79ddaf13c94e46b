// SPDX-License-Identifier: MIT
//
// MySQL and MariaDB as a resource: a lock of the server holds the writers; lock_choice.h says
// which, lock_strategy.h what each does.
//
//   probe()    connects the lock and the control session, chooses the lock, checks the account's
//              privileges
//   prepare()  chooses again, as tables and replicas may have come; the part of the lock that
//   stalls
//              nobody; flushes the redo log; gets statements out of the way that the lock would
//              have to wait for while every writer already queues behind it
//   hold()     the lock within lock-timeout; proof; flush of the redo log; position
//
// There is no FLUSH TABLES beforehand: on MySQL it stalls behind a long SELECT as the lock does,
// and on MariaDB 10.11 it gained nothing (median of hold() under three writers 1.4 ms with and
// without).
//
// Threads and ownership: api/plugin.h. Errors name the resource.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "api/plugin.h"
#include "mysql/lock_choice.h"
#include "mysql/lock_strategy.h"
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
  // LOCK INSTANCE FOR BACKUP lets everybody commit.
  [[nodiscard]] bool stalls_writers() const override { return choice_.kind != LockKind::kInstance; }
  void rollback(base::Deadline deadline) override;
  void interrupt() override { sessions_.interrupt(); }

 private:
  // What the account may do, as far as it was asked.
  struct Account {
    std::string name;  // as GRANT takes it
    std::set<std::string> privileges;
    std::vector<std::string> lines;
  };

  [[nodiscard]] base::Result<void> do_finish_config() override;
  [[nodiscard]] base::Result<void> connect(const Patience& patience);
  [[nodiscard]] base::Result<Account> ask_account(const Patience& patience);
  // Sets choice_; fails if the server or the account can't do what is configured.
  [[nodiscard]] base::Result<void> choose(const Account& account, const Patience& patience);
  [[nodiscard]] base::Result<void> check_privileges(const Account& account,
                                                    const Patience& patience);
  // What would work better than it does.
  [[nodiscard]] base::Result<std::vector<std::string>> advise(const Account& account,
                                                              const Patience& patience);
  [[nodiscard]] base::Result<void> prepare_lock(const api::Window& window,
                                                const Patience& patience);
  [[nodiscard]] base::Result<void> clear_the_way(const Patience& patience);
  // Nothing stays locked, and no session open.
  void abandon();
  // "unable to … 'mysql:main'", for a cause.
  [[nodiscard]] base::Error unable(const std::string& what, base::Error cause) const;

  MysqlSettings settings_;
  SessionPair sessions_;
  LockChoice choice_;
  bool may_lock_instance_ = false;
  // Between prepare() and hold().
  std::unique_ptr<LockStrategy> lock_;
  // Statements that prepare() killed: the Hold's warnings, or else the next probe's.
  std::vector<std::string> killed_;
};

}  // namespace holdfast::mysql
