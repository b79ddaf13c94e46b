// SPDX-License-Identifier: MIT
//
// The session on a server, and all the SQL of this plugin as named functions: nothing else sends a
// statement.
//
// A statement that is given up (deadline, stop) is cancelled: a second, short-lived connection asks
// for pg_cancel_backend(), and the answer is drained, all within 100 ms. libpq's PQcancel() isn't
// used: up to libpq 16 it waits without any limit. If that fails, the session is closed.
//
// Threads: as PostgresqlConnection.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "postgresql/postgresql_connection.h"

namespace holdfast::postgresql {

// What is the same for the whole life of a session, and what its role may do.
struct ServerFacts {
  int version = 0;  // 150020 is 15.20
  std::string version_text;
  std::string role;
  int session_id = 0;  // the backend's pid
  bool superuser = false;
  std::uint64_t segment_size = 0;  // of a file of the write-ahead log
  bool in_the_clear = false;       // over a network, and not encrypted
  bool may_checkpoint = false;     // by the statement
  bool may_back_up = false;
  bool archives = false;
};

// Read before the freeze and again after the thaw, to be compared.
struct ServerState {
  std::string system_id;
  std::string started;  // postmaster start time, seconds since 1970 with fraction
  std::string timeline;
  std::string lsn;  // written up to here; on a standby, replayed up to here
  int session_id = 0;
  bool in_recovery = false;
};

// What pg_backup_stop() returns, and the file of the write-ahead log that `lsn` is in.
struct BackupStop {
  std::string lsn;
  std::string wal_file;
  std::string label;
  std::string tablespace_map;
};

class PostgresqlSession : public PostgresqlConnection {
 public:
  PostgresqlSession(base::Waker& waker) : PostgresqlConnection(waker) {}

  // Connects, makes the session last (no timeouts) and learns who answers and what we may do.
  // Closed again on failure.
  [[nodiscard]] base::Result<void> begin(const Keywords& connect, const Patience& patience);
  // Valid after begin().
  [[nodiscard]] const ServerFacts& facts() const { return facts_; }

  [[nodiscard]] base::Result<ServerState> state(const Patience& patience);
  // Before 15, CHECKPOINT is for superusers alone; for others the beginning of a backup, which may
  // be granted, does one just as well, and the backup is ended at once.
  [[nodiscard]] base::Result<void> checkpoint(const Patience& patience);
  // A non-exclusive backup, begun with an immediate checkpoint; its start LSN. It lasts until
  // backup_stop() or the end of the session, and leaves nothing on the server's disk.
  [[nodiscard]] base::Result<std::string> backup_start(const std::string& label,
                                                       const Patience& patience);
  // From now on the server itself ends the session when it hears nothing of it for `longest`,
  // rounded up to a second more, and the backup with it: nobody else could, once a connection has
  // gone silent, and the server would do as if it were backed up until its next restart. Before 14
  // no server can do that for a session; there only TCP's keepalives (with_session_settings()) end
  // it.
  [[nodiscard]] base::Result<void> bound_silence(base::Millis longest, const Patience& patience);
  // As after begin(): however long it is idle.
  [[nodiscard]] base::Result<void> unbound_silence(const Patience& patience);
  // Never waits for the archiver.
  [[nodiscard]] base::Result<BackupStop> backup_stop(const Patience& patience);

 private:
  [[nodiscard]] base::Result<PgResult> ask(const std::string& statement, const Patience& patience,
                                           const std::vector<std::string>& parameters = {});
  [[nodiscard]] base::Result<void> outlast_the_window(const Patience& patience);
  [[nodiscard]] base::Result<void> set_idle_timeout(base::Millis timeout, const Patience& patience);
  [[nodiscard]] base::Result<void> learn_facts(const Patience& patience);
  void cancel();

  Keywords connect_;
  ServerFacts facts_;
};

}  // namespace holdfast::postgresql
