// SPDX-License-Identifier: MIT
//
// LOCK INSTANCE FOR BACKUP alone (MySQL 8.0 and later): holds DDL and whatever else changes files
// outside InnoDB's redo log. Writers of rows go on until the filesystem itself is frozen, so it
// costs no stall and protects InnoDB only.
//
// What can be proven is less than with a lock on writers: that this session, of this run of the
// server, held the instance lock all the time; that is why positions are bounds here, as with
// PostgreSQL. The server shows the lock in performance_schema.metadata_locks to an account that may
// read it; whether it does is found out when the lock is taken. A redo log that has run backwards
// would be another server's.
#pragma once

#include "mysql/lock_strategy.h"

namespace holdfast::mysql {

class InstanceLock final : public LockStrategy {
 public:
  using LockStrategy::LockStrategy;

  [[nodiscard]] LockKind kind() const override { return LockKind::kInstance; }
  [[nodiscard]] base::Result<void> prepare(const Patience& patience) override;
  [[nodiscard]] bool waits_for(const StatementKind&) const override { return false; }
  [[nodiscard]] bool waits_at_any_age(const StatementKind&) const override { return false; }
  [[nodiscard]] base::Result<void> take(const Patience& patience) override;
  [[nodiscard]] base::Result<Evidence> evidence(const Patience& patience) override;
  [[nodiscard]] base::Result<Proof> prove(const Patience& patience) override;
  [[nodiscard]] std::string contradiction(const api::Position& before,
                                          const api::Position& after) const override;
  [[nodiscard]] base::Result<void> release(const Patience& patience) override;

 private:
  bool locked_ = false;
  bool server_shows_it_ = false;
};

}  // namespace holdfast::mysql
