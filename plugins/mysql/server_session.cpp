// SPDX-License-Identifier: MIT
#include "mysql/server_session.h"

#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "mysql/replica_status.h"

namespace holdfast::mysql {

namespace {

using base::Error;
using base::ErrorCode;
using base::Millis;
using base::Result;

constexpr unsigned kSyntaxError = 1064;
constexpr unsigned kUnknownVariable = 1193;
constexpr unsigned kNoSuchThread = 1094;
constexpr unsigned kTableDenied = 1142;
constexpr unsigned kNoSuchTable = 1146;
constexpr unsigned kAccessDenied = 1227;
constexpr unsigned kNoSuchQuery = 1957;

}  // namespace

std::uint64_t number_of(const std::string& text) {
  std::uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

Result<void> ServerSession::run(const std::string& statement, const Patience& patience) {
  auto answer = query(statement, patience);
  if (!answer) return std::move(answer).error();
  return {};
}

Result<void> ServerSession::run_if_known(const std::string& statement, const Patience& patience) {
  auto done = run(statement, patience);
  if (!done && server_error() == 0) return done;
  return {};
}

Result<std::string> ServerSession::value_if_known(const std::string& statement,
                                                  const Patience& patience) {
  auto answer = query(statement, patience);
  if (answer) return answer->first();
  if (server_error() == 0) return std::move(answer).error();
  return std::string();
}

Result<void> ServerSession::begin(const ConnectSettings& settings, const Patience& patience) {
  auto opened = open(settings, patience);
  if (opened) {
    opened = run("SET SESSION interactive_timeout=31536000, autocommit=1", patience);
  }
  if (opened) opened = unbound_silence(patience);
  if (opened) opened = run_if_known("SET SESSION max_statement_time=0", patience);
  // Galera: else every statement would wait for the cluster's writes, which the lock holds back.
  if (opened) opened = run_if_known("SET SESSION wsrep_sync_wait=0", patience);
  if (opened) opened = learn_facts(patience);
  if (!opened) close();
  return opened;
}

Result<void> ServerSession::bound_silence(Millis longest, const Patience& patience) {
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(longest).count() + 1;
  return run("SET SESSION wait_timeout=" + std::to_string(seconds), patience);
}

Result<void> ServerSession::unbound_silence(const Patience& patience) {
  // An idle session that the server ends takes its lock along, silently: a year of patience.
  return run("SET SESSION wait_timeout=31536000", patience);
}

Result<void> ServerSession::learn_facts(const Patience& patience) {
  auto answer =
      query("SELECT VERSION(), CONNECTION_ID(), CURRENT_USER(), @@global.log_bin", patience);
  if (!answer) return std::move(answer).error();
  facts_ = ServerFacts();
  facts_.version_text = base::printable(answer->first(0), 100);
  facts_.version = parse_version(facts_.version_text);
  facts_.session_id = number_of(answer->first(1));
  facts_.account = answer->first(2);
  facts_.binary_log = answer->first(3) == "1";
  auto uuid = identify_server(patience);
  if (!uuid) return std::move(uuid).error();
  facts_.server_uuid = *uuid;
  auto schema = value_if_known("SELECT @@global.performance_schema", patience);
  if (!schema) return std::move(schema).error();
  facts_.performance_schema = *schema == "1";
  return learn_redo(patience);
}

Result<void> ServerSession::learn_redo(const Patience& patience) {
  auto answer =
      query("SELECT @@global.innodb_flush_log_at_trx_commit, @@global.innodb_flush_log_at_timeout",
            patience);
  if (!answer && server_error() == 0) return std::move(answer).error();
  if (!answer) return {};  // a server without InnoDB has neither
  facts_.lazy_redo = answer->first(0) == "0";
  facts_.redo_interval = Millis(1000 * static_cast<Millis::rep>(number_of(answer->first(1))));
  return {};
}

Result<std::string> ServerSession::identify_server(const Patience& patience) {
  auto uuid =
      query(mariadb() ? "SELECT @@global.server_uid" : "SELECT @@global.server_uuid", patience);
  // MariaDB says 'unknown' on a machine without a network card, whose address it is made from.
  const bool has_none = uuid ? uuid->first() == "unknown" : server_error() == kUnknownVariable;
  if (has_none) {
    uuid = query("SELECT CONCAT_WS(':', @@global.hostname, @@global.port, @@global.server_id)",
                 patience);
  }
  if (!uuid) return std::move(uuid).error();
  auto uptime = status_number("Uptime", patience);
  if (!uptime) return std::move(uptime).error();
  auto now = query("SELECT UNIX_TIMESTAMP()", patience);
  if (!now) return std::move(now).error();
  return base::printable(uuid->first(), 100) + "@" +
         std::to_string(number_of(now->first()) - *uptime);
}

Result<std::uint64_t> ServerSession::status_number(const char* name, const Patience& patience) {
  auto answer = query(std::string("SHOW GLOBAL STATUS LIKE '") + name + "'", patience);
  if (!answer) return std::move(answer).error();
  return number_of(answer->first(1));
}

Result<void> ServerSession::answer(const Patience& patience) {
  return run("DO 0", patience);
}

Result<std::vector<std::string>> ServerSession::grants(const Patience& patience) {
  auto answer = query("SHOW GRANTS", patience);
  if (!answer) return std::move(answer).error();
  std::vector<std::string> lines;
  for (const Row& row : answer->rows) {
    if (!row.empty() && row.front()) lines.push_back(*row.front());
  }
  return lines;
}

Result<Table> ServerSession::process_list(const Patience& patience) {
  // MariaDB counts milliseconds, MySQL whole seconds. Applier threads of replication are left out:
  // what the list calls their age is how far they lag behind.
  const std::string age = mariadb() ? "TIME_MS" : "TIME * 1000";
  const std::string query_id = mariadb() ? "QUERY_ID" : "0";
  const std::string columns =
      "SELECT ID, USER, " + age + ", LEFT(INFO, 4000), COMMAND, " + query_id + " FROM ";
  const std::string where =
      ".PROCESSLIST WHERE COMMAND IN ('Query', 'Execute', 'Connect') AND INFO IS NOT NULL AND "
      "USER NOT IN ('system user', 'event_scheduler')";
  // MySQL's older table takes a lock that every new connection needs. The newer one came with
  // 8.0.22, and wants SELECT on itself besides PROCESS.
  if (!mariadb() && facts_.performance_schema) {
    auto answer = query(columns + "performance_schema" + where, patience);
    const bool unusable = server_error() == kNoSuchTable || server_error() == kTableDenied;
    if (answer || !unusable) return answer;
  }
  return query(columns + "information_schema" + where, patience);
}

Result<std::vector<RunningStatement>> ServerSession::running_statements(
    const std::vector<std::uint64_t>& own, const Patience& patience) {
  auto answer = process_list(patience);
  if (!answer) return std::move(answer).error();
  std::vector<RunningStatement> statements;
  for (const Row& row : answer->rows) {
    RunningStatement statement;
    statement.session = number_of(row.at(0).value_or(""));
    if (std::find(own.begin(), own.end(), statement.session) != own.end()) continue;
    statement.user = row.at(1).value_or("");
    statement.age = Millis(static_cast<Millis::rep>(number_of(row.at(2).value_or(""))));
    statement.kind = kind_of(row.at(3).value_or(""));
    statement.of_client = row.at(4).value_or("") != "Connect";
    statement.query = number_of(row.at(5).value_or(""));
    statements.push_back(std::move(statement));
  }
  return statements;
}

Result<void> ServerSession::kill_statement(const RunningStatement& statement,
                                           const Patience& patience) {
  auto killed = run(statement.query != 0 ? "KILL QUERY ID " + std::to_string(statement.query)
                                         : "KILL QUERY " + std::to_string(statement.session),
                    patience);
  if (!killed && (server_error() == kNoSuchThread || server_error() == kNoSuchQuery)) return {};
  return killed;
}

Result<void> ServerSession::kill(std::uint64_t id, const Patience& patience) {
  return run("KILL " + std::to_string(id), patience);
}

Result<Survey> ServerSession::survey(const Patience& patience) {
  Survey survey;
  if (mariadb()) {
    auto threads = value_if_known("SELECT @@global.slave_parallel_threads", patience);
    if (!threads) return std::move(threads).error();
    survey.parallel_threads = number_of(*threads);
    auto sources = applied_sources(patience);
    if (!sources) return std::move(sources).error();
    if (*sources) survey.replica = !(*sources)->empty();
    return survey;
  }
  auto tables = query(
      "SELECT COUNT(*), COALESCE(SUM(COALESCE(ENGINE, '') <> 'InnoDB' AND TABLE_SCHEMA NOT IN "
      "('mysql', 'information_schema', 'performance_schema', 'sys')), 0) FROM "
      "information_schema.TABLES WHERE TABLE_TYPE = 'BASE TABLE' AND "
      "TABLE_SCHEMA NOT IN ('information_schema', 'performance_schema')",
      patience);
  if (!tables) return std::move(tables).error();
  survey.visible_tables = number_of(tables->first(0));
  survey.tables_outside_innodb = number_of(tables->first(1));
  return survey;
}

Result<bool> ServerSession::reads_log_status(const Patience& patience) {
  auto answer = query("SELECT SERVER_UUID FROM performance_schema.log_status", patience);
  if (answer) return !answer->rows.empty();
  if (server_error() == 0) return std::move(answer).error();
  return false;
}

Result<bool> ServerSession::is_replicating(const Patience& patience) {
  if (!mariadb()) return false;
  auto appliers = status_number("Slaves_running", patience);
  if (!appliers) return std::move(appliers).error();
  return *appliers > 0;
}

Result<Table> ServerSession::replica_status(const Patience& patience) {
  if (mariadb()) return query("SHOW ALL SLAVES STATUS", patience);
  auto answer = query("SHOW REPLICA STATUS", patience);  // from 8.0.22 on
  if (answer || server_error() != kSyntaxError) return answer;
  return query("SHOW SLAVE STATUS", patience);
}

Result<std::optional<api::Position>> ServerSession::applied_sources(const Patience& patience) {
  auto status = replica_status(patience);
  if (status) return std::make_optional(applied_sources_of(*status));
  if (server_error() == kAccessDenied) return std::optional<api::Position>();
  return std::move(status).error();
}

}  // namespace holdfast::mysql
