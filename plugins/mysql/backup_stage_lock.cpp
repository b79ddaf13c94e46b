// SPDX-License-Identifier: MIT
#include "mysql/backup_stage_lock.h"

#include <utility>

namespace holdfast::mysql {

using base::Result;

Result<void> BackupStageLock::prepare(const Patience& patience) {
  auto started = session().enter_backup_stage(BackupStage::kStart, patience);
  if (!started) return base::wrap(std::move(started).error(), "unable to begin a backup stage");
  started_ = true;
  return {};
}

Result<void> BackupStageLock::take(const Patience& patience) {
  for (const BackupStage stage :
       {BackupStage::kFlush, BackupStage::kBlockDdl, BackupStage::kBlockCommit}) {
    if (auto entered = session().enter_backup_stage(stage, patience); !entered) return entered;
  }
  return {};
}

Result<Evidence> BackupStageLock::evidence(const Patience& patience) {
  return session().evidence(patience);
}

Result<Proof> BackupStageLock::prove(const Patience& patience) {
  return session().prove_block_commit(patience);
}

std::string BackupStageLock::contradiction(const api::Position& before,
                                           const api::Position& after) const {
  return first_difference(before, after,
                          {"binlog-file", "binlog-position", "gtid", "gtid-applied"});
}

Result<void> BackupStageLock::release(const Patience& patience) {
  return std::exchange(started_, false) ? session().end_backup_stage(patience) : Result<void>();
}

}  // namespace holdfast::mysql
