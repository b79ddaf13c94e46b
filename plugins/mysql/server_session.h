// SPDX-License-Identifier: MIT
//
// A session that looks around on a server: who answers, what the account may do, what is running,
// what there is to protect. All of it may be asked at any time and holds nobody up; what locks is
// in MysqlSession, which this is the base of. Between them they are all the SQL of the plugin.
//
// Errors are the server's or the connection's own words; the callers say what they were about to
// do.
//
// Threads: as MysqlConnection.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "api/hold.h"
#include "mysql/mysql_connection.h"
#include "mysql/server_version.h"
#include "mysql/statements.h"
#include "mysql/survey.h"

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
  bool performance_schema = false;
  // innodb_flush_log_at_trx_commit = 0: commits reach the log file up to a second late.
  bool lazy_redo = false;
  base::Millis redo_interval{1000};
};

class ServerSession : public MysqlConnection {
 public:
  using MysqlConnection::MysqlConnection;

  // Connects, makes the session last (no idle timeout, no statement limit) and learns who answers.
  // Closed again on failure.
  [[nodiscard]] base::Result<void> begin(const ConnectSettings& settings, const Patience& patience);
  // Valid after begin().
  [[nodiscard]] const ServerFacts& facts() const { return facts_; }
  [[nodiscard]] bool mariadb() const { return facts_.version.flavour == Flavour::kMariadb; }

  // From now on the server itself ends the session when it hears nothing of it for `longest`,
  // rounded up to a second more. A connection whose other end has vanished without a word, as TCP's
  // can, would keep its lock on the server for good: nobody could tell it that our patience is
  // over.
  [[nodiscard]] base::Result<void> bound_silence(base::Millis longest, const Patience& patience);
  // As after begin(): however long it is idle.
  [[nodiscard]] base::Result<void> unbound_silence(const Patience& patience);

  // Does it still answer?
  [[nodiscard]] base::Result<void> answer(const Patience& patience);
  // The lines of SHOW GRANTS.
  [[nodiscard]] base::Result<std::vector<std::string>> grants(const Patience& patience);

  // Statements that are running, but for those of `own` and of replication itself.
  [[nodiscard]] base::Result<std::vector<RunningStatement>> running_statements(
      const std::vector<std::uint64_t>& own, const Patience& patience);
  // Ends one statement, not its session; on MariaDB exactly this one, on MySQL whatever the session
  // runs by now. One that has ended by itself is a success.
  [[nodiscard]] base::Result<void> kill_statement(const RunningStatement& statement,
                                                  const Patience& patience);
  // KILL of the whole session `id`. Never KILL QUERY for a lock: a pending FTWRL would end with an
  // error and keep its lock on MySQL.
  [[nodiscard]] base::Result<void> kill(std::uint64_t id, const Patience& patience);

  // What the choice of a lock goes by; survey.h.
  [[nodiscard]] base::Result<Survey> survey(const Patience& patience);
  // May it read performance_schema.log_status? MySQL 8.0 and later.
  [[nodiscard]] base::Result<bool> reads_log_status(const Patience& patience);
  // Does this server apply the changes of others? Answered without any privilege: MariaDB counts
  // its running appliers, and a MySQL account that may read the position sees them anyway.
  [[nodiscard]] base::Result<bool> is_replicating(const Patience& patience);
  // How far each source has been applied; replica_status.h has the keys. None if the account may
  // not ask, or there is no source.
  [[nodiscard]] base::Result<std::optional<api::Position>> applied_sources(
      const Patience& patience);

 protected:
  [[nodiscard]] base::Result<void> run(const std::string& statement, const Patience& patience);
  // One that the server need not know: errors of the server are passed over.
  [[nodiscard]] base::Result<void> run_if_known(const std::string& statement,
                                                const Patience& patience);
  // The first value of the answer; empty where the server does not know what it is asked for.
  [[nodiscard]] base::Result<std::string> value_if_known(const std::string& statement,
                                                         const Patience& patience);
  // 0 for a counter that the server does not have.
  [[nodiscard]] base::Result<std::uint64_t> status_number(const char* name,
                                                          const Patience& patience);
  // How the server writes its redo log, which SET GLOBAL may have changed.
  [[nodiscard]] base::Result<void> learn_redo(const Patience& patience);

 private:
  [[nodiscard]] base::Result<void> learn_facts(const Patience& patience);
  [[nodiscard]] base::Result<std::string> identify_server(const Patience& patience);
  [[nodiscard]] base::Result<Table> process_list(const Patience& patience);
  [[nodiscard]] base::Result<Table> replica_status(const Patience& patience);

  ServerFacts facts_;
};

[[nodiscard]] std::uint64_t number_of(const std::string& text);

}  // namespace holdfast::mysql
