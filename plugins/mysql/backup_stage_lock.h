// SPDX-License-Identifier: MIT
//
// MariaDB's BACKUP STAGE (10.4.1 and later): holds commits and DDL, and doesn't wait for running
// statements on transactional tables.
//
// Where each stage belongs was measured on 10.11. START stalls nobody, and fails while another
// backup runs or somebody holds LOCK TABLES: it is in prepare(). FLUSH makes writes to
// non-transactional tables wait, and BLOCK_DDL DDL: they would wait for the slow part of every
// other resource, so both are in take(), where they cost milliseconds. BLOCK_DDL waits for running
// statements on non-transactional tables while InnoDB goes on.
//
// The server's word for it: a session at BLOCK_COMMIT is refused that stage a second time, in words
// of their own; any other session gets another error.
#pragma once

#include "mysql/lock_strategy.h"

namespace holdfast::mysql {

class BackupStageLock final : public LockStrategy {
 public:
  using LockStrategy::LockStrategy;

  [[nodiscard]] LockKind kind() const override { return LockKind::kBackupStage; }
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
  bool started_ = false;
};

}  // namespace holdfast::mysql
