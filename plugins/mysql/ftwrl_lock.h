// SPDX-License-Identifier: MIT
//
// FLUSH TABLES WITH READ LOCK: holds writers of every engine, on every server.
//
// On MySQL 8.0 and later LOCK INSTANCE FOR BACKUP goes before it where the account may: it waits
// for DDL without stalling anybody, which FTWRL would do with every writer queued up behind.
//
// The server's word for it: MariaDB refuses BACKUP STAGE START in the session that owns the lock,
// and in no other. MySQL shows it in performance_schema.metadata_locks, to an account that may read
// that: whether it does is found out when the lock is taken, and what was shown then must be shown
// at the thaw.
#pragma once

#include "mysql/lock_strategy.h"

namespace holdfast::mysql {

class FtwrlLock final : public LockStrategy {
 public:
  FtwrlLock(MysqlSession& session, bool with_instance_lock)
      : LockStrategy(session), with_instance_lock_(with_instance_lock) {}

  [[nodiscard]] LockKind kind() const override { return LockKind::kFtwrl; }
  [[nodiscard]] base::Result<void> prepare(const Patience& patience) override;
  [[nodiscard]] bool waits_for(const StatementKind& statement) const override;
  [[nodiscard]] bool waits_at_any_age(const StatementKind& statement) const override;
  [[nodiscard]] base::Result<void> take(const Patience& patience) override;
  [[nodiscard]] base::Result<Evidence> evidence(const Patience& patience) override;
  [[nodiscard]] base::Result<Proof> prove(const Patience& patience) override;
  [[nodiscard]] std::string contradiction(const api::Position& before,
                                          const api::Position& after) const override;
  [[nodiscard]] base::Result<void> release(const Patience& patience) override;

 private:
  bool with_instance_lock_;
  bool instance_locked_ = false;
  bool tables_locked_ = false;
  bool server_shows_it_ = false;
};

}  // namespace holdfast::mysql
