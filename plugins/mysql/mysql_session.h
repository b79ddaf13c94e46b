// SPDX-License-Identifier: MIT
//
// One session on a server, with the statements that lock it and those that are read under a lock,
// as named functions. A plugin has two of them, connected before any lock: the lock session, which
// owns the lock, and the control session, which looks around and can end the lock session.
//
// No function takes or keeps a lock beyond what its name says. Errors are the server's or the
// connection's own words; the callers say what they were about to do.
//
// Threads: as MysqlConnection.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "mysql/server_session.h"

namespace holdfast::mysql {

// What is read under the lock, and again before it is released, to be compared.
struct Evidence {
  std::uint64_t session_id = 0;
  api::Position position;  // of the binary log, and how far sources are applied
};

// The evidence anew, and what the server says of the lock itself.
struct Proof {
  Evidence evidence;
  // It says that this session does not have it: kHoldLost.
  std::optional<base::Error> denial;
};

enum class BackupStage { kStart, kFlush, kBlockDdl, kBlockCommit };

class MysqlSession : public ServerSession {
 public:
  using ServerSession::ServerSession;

  // LOCK INSTANCE FOR BACKUP: waits for DDL without stalling anybody. MySQL 8.0 and later.
  [[nodiscard]] base::Result<void> lock_instance(const Patience& patience);
  [[nodiscard]] base::Result<void> unlock_instance(const Patience& patience);

  // FLUSH TABLES WITH READ LOCK, and on MariaDB the position for the next evidence() in the same
  // round trip. The server itself gives the lock up by the deadline (MariaDB exactly, MySQL rounded
  // up to seconds). After any failure the lock may be held all the same:
  // drop_locks(), and close the session.
  [[nodiscard]] base::Result<void> lock_tables(const Patience& patience);
  [[nodiscard]] base::Result<void> unlock_tables(const Patience& patience);

  // One stage of BACKUP STAGE, which the server gives up by the deadline; with the last one comes
  // the position, as above. After a failure the stage before it is still held.
  [[nodiscard]] base::Result<void> enter_backup_stage(BackupStage stage, const Patience& patience);
  [[nodiscard]] base::Result<void> end_backup_stage(const Patience& patience);

  // After whatever has failed: UNLOCK TABLES, and BACKUP STAGE END if a stage may be open.
  [[nodiscard]] base::Result<void> drop_locks(const Patience& patience);

  // evidence(), and in the same round trip: does the server itself say that this session owns the
  // global read lock? On MariaDB BACKUP STAGE START is refused with error 1223 in such a session
  // and in no other. Before 10.4 nobody can be asked. MariaDB only.
  [[nodiscard]] base::Result<Proof> prove_read_lock(const Patience& patience);
  // The same: is this session at BLOCK_COMMIT? The server refuses to enter the stage a second time
  // with error 4147, and with 4146 where no stage is open; neither changes anything. MariaDB only.
  [[nodiscard]] base::Result<Proof> prove_block_commit(const Patience& patience);
  // Does performance_schema.metadata_locks show that this session was granted a shared lock of this
  // kind ("GLOBAL", "BACKUP LOCK")? None where that can't be seen: another version, no privilege,
  // the instrument off. MySQL only.
  [[nodiscard]] base::Result<std::optional<bool>> owns_metadata_lock(const std::string& kind,
                                                                     const Patience& patience);

  // FLUSH NO_WRITE_TO_BINLOG ENGINE LOGS, before the lock, so that little is left to flush under
  // it; also looks again at how the server writes its redo log, and whether it has sources.
  [[nodiscard]] base::Result<void> flush_engine_logs(const Patience& patience);
  // Under the lock. Where commits are lazy (innodb_flush_log_at_trx_commit = 0): flushes, and waits
  // until the redo log is flushed, since MariaDB 10.11 doesn't do so for that statement (measured).
  // The bytes that are still missing when the wait is given up: a little after the server's own
  // interval, which the server does it by itself within; 0 is as it should be. With 1 or 2 nothing
  // is needed: what is committed has been written, and the freeze of the filesystem makes it
  // durable.
  [[nodiscard]] base::Result<std::uint64_t> flush_lazy_redo(const Patience& patience);

  // Binary log position, GTIDs and applied sources: one after the other, so under a lock.
  [[nodiscard]] base::Result<Evidence> evidence(const Patience& patience);
  // The same, and InnoDB's log, as of one instant, while others write:
  // performance_schema.log_status.
  [[nodiscard]] base::Result<Evidence> evidence_at_once(const Patience& patience);

 private:
  // How long the statements of this session may wait for a lock, by the server's own clock.
  [[nodiscard]] base::Result<void> limit_waits(const Patience& patience);
  [[nodiscard]] base::Result<void> lift_limits(const Patience& patience);
  // A statement that locks, and the position for the next evidence(). MariaDB only.
  [[nodiscard]] base::Result<void> lock_with_position(const std::string& lock,
                                                      const Patience& patience);
  // evidence(), and a statement that the server refuses with this number if all is well.
  [[nodiscard]] base::Result<Proof> prove_by_refusal(const char* statement, unsigned number,
                                                     const char* undo, const char* otherwise,
                                                     const Patience& patience);
  // MySQL's; MariaDB's is among position_statements().
  [[nodiscard]] base::Result<Table> binary_log_status(const Patience& patience);
  [[nodiscard]] std::vector<std::string> position_statements() const;
  // The binary log's position if there is a binary log; then session, GTIDs, applied GTIDs.
  [[nodiscard]] base::Result<std::vector<Table>> ask_position(const Patience& patience);
  [[nodiscard]] base::Result<Evidence> evidence_of(const std::vector<Table>& position,
                                                   const Patience& patience);
  [[nodiscard]] base::Result<void> add_sources(Evidence& evidence, const Patience& patience);
  [[nodiscard]] base::Result<std::uint64_t> redo_target(const Patience& patience);

  bool stage_open_ = false;
  // Learnt before the lock: who has no source is not asked for it under it.
  bool has_sources_ = false;
  // Came along with the lock, for the next evidence().
  std::optional<std::vector<Table>> position_ahead_;
};

}  // namespace holdfast::mysql
