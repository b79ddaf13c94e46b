// SPDX-License-Identifier: MIT
//
// One session on a server, and all the SQL of this plugin as named functions: nothing else sends a
// statement. A plugin has two of them, connected before any lock: the lock session, which owns the
// lock, and the control session, which looks around and can end the lock session.
//
// No function takes or keeps a lock beyond what its name says. Errors are the server's or the
// connection's own words; the callers say what they were about to do.
//
// Threads: as MysqlConnection.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "api/hold.h"
#include "mysql/mysql_connection.h"
#include "mysql/server_version.h"
#include "mysql/statements.h"

namespace holdfast::mysql {

// What is the same for the whole life of a session.
struct ServerFacts {
  ServerVersion version;
  std::string version_text;
  std::uint64_t session_id = 0;
  std::string account;  // CURRENT_USER()
  // Which server this is, and which run of it: server_uuid (MySQL) or server_uid (MariaDB from
  // 10.6 on), else host, port and server id; and when it started, as seen when this session began.
  std::string server_uuid;
  bool binary_log = false;
  // innodb_flush_log_at_trx_commit = 0: commits reach the log file up to a second late.
  bool lazy_redo = false;
  base::Millis redo_interval{1000};
};

// What is read under the lock, and again before it is released, to be compared.
struct Evidence {
  std::uint64_t session_id = 0;
  api::Position position;  // binary log file, position and GTID; empty where there is none
};

class MysqlSession : public MysqlConnection {
 public:
  using MysqlConnection::MysqlConnection;

  // Connects, makes the session last (no idle timeout, no statement limit) and learns who answers.
  // Closed again on failure.
  [[nodiscard]] base::Result<void> begin(const ConnectSettings& settings, const Patience& patience);
  // Valid after begin().
  [[nodiscard]] const ServerFacts& facts() const { return facts_; }

  // Does it still answer?
  [[nodiscard]] base::Result<void> answer(const Patience& patience);
  // The lines of SHOW GRANTS.
  [[nodiscard]] base::Result<std::vector<std::string>> grants(const Patience& patience);
  // Statements older than `threshold` that the lock would wait for, but for those of `own`.
  [[nodiscard]] base::Result<std::vector<RunningStatement>> long_statements(
      base::Millis threshold, const std::vector<std::uint64_t>& own, const Patience& patience);
  // KILL of the whole session `id`. Never KILL QUERY: a pending FTWRL would end with an error and
  // keep its lock on MySQL.
  [[nodiscard]] base::Result<void> kill(std::uint64_t id, const Patience& patience);

  // LOCK INSTANCE FOR BACKUP: waits for DDL without stalling anybody. MySQL 8.0 and later.
  [[nodiscard]] base::Result<void> lock_instance(const Patience& patience);
  [[nodiscard]] base::Result<void> unlock_instance(const Patience& patience);
  // FLUSH TABLES WITH READ LOCK, which the server itself gives up by the deadline (MariaDB exactly,
  // MySQL rounded up to seconds). After any failure the lock may be held all the same:
  // unlock_tables(), and close the session.
  [[nodiscard]] base::Result<void> lock_tables(const Patience& patience);
  [[nodiscard]] base::Result<void> unlock_tables(const Patience& patience);
  // Does the server itself say that this session owns the global read lock? On MariaDB BACKUP STAGE
  // START is refused with error 1223 in such a session and in no other. Nothing like it is known
  // for MySQL, nor for MariaDB before 10.4: success there means nothing more than an answer.
  [[nodiscard]] base::Result<void> prove_lock(const Patience& patience);
  // FLUSH NO_WRITE_TO_BINLOG ENGINE LOGS, before the lock, so that little is left to flush under
  // it; also looks again at how the server writes its redo log, which SET GLOBAL may have changed.
  [[nodiscard]] base::Result<void> flush_engine_logs(const Patience& patience);
  // Under the lock. Where commits are lazy (innodb_flush_log_at_trx_commit = 0): flushes, and waits
  // until the redo log is flushed, since MariaDB 10.11 doesn't do so for that statement (measured).
  // Gives up the wait in silence when it takes longer than the server's own interval: probe() has
  // warned of it. With 1 or 2 nothing is needed: what is committed has been written, and the freeze
  // of the filesystem makes it durable.
  [[nodiscard]] base::Result<void> flush_lazy_redo(const Patience& patience);
  [[nodiscard]] base::Result<Evidence> evidence(const Patience& patience);

 private:
  [[nodiscard]] base::Result<void> run(const std::string& statement, const Patience& patience);
  // One that the server need not know: errors of the server are passed over.
  [[nodiscard]] base::Result<void> run_if_known(const std::string& statement,
                                                const Patience& patience);
  [[nodiscard]] base::Result<void> learn_facts(const Patience& patience);
  [[nodiscard]] base::Result<void> learn_redo(const Patience& patience);
  [[nodiscard]] base::Result<std::string> identify_server(const Patience& patience);
  [[nodiscard]] base::Result<Table> binary_log_status(const Patience& patience);
  [[nodiscard]] base::Result<std::uint64_t> status_number(const char* name,
                                                          const Patience& patience);

  ServerFacts facts_;
};

}  // namespace holdfast::mysql
