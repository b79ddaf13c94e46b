// SPDX-License-Identifier: MIT
#include "mysql/mysql_session.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>

#include "base/text.h"

namespace holdfast::mysql {

namespace {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Millis;
using base::Result;

constexpr unsigned kSyntaxError = 1064;
constexpr unsigned kUnknownVariable = 1193;
constexpr unsigned kConflictingReadLock = 1223;
// How much earlier than our own deadline the server is to give up: its answer leaves the session in
// a known state, our deadline does not.
constexpr Millis kServerHeadStart{20};
constexpr Millis kRedoPollInterval{50};
// Whole, since it is compared; a set of many servers with gaps is long.
constexpr std::size_t kGtidLimit = std::size_t{64} << 10U;

std::uint64_t number_of(const std::string& text) {
  std::uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

std::string seconds_text(Millis span) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%lld.%03lld",
                static_cast<long long>(span.count() / 1000),
                static_cast<long long>(span.count() % 1000));
  return text.data();
}

// A long gtid_executed comes in several lines.
std::string without_line_breaks(std::string text) {
  std::erase_if(text, [](char c) { return c == '\n' || c == '\r' || c == ' '; });
  return text;
}

}  // namespace

Result<void> MysqlSession::run(const std::string& statement, const Patience& patience) {
  auto answer = query(statement, patience);
  if (!answer) return std::move(answer).error();
  return {};
}

Result<void> MysqlSession::run_if_known(const std::string& statement, const Patience& patience) {
  auto done = run(statement, patience);
  if (!done && server_error() == 0) return done;
  return {};
}

Result<void> MysqlSession::begin(const ConnectSettings& settings, const Patience& patience) {
  auto opened = open(settings, patience);
  // An idle session that the server ends takes its lock along, silently: a year of patience.
  if (opened) {
    opened = run("SET SESSION wait_timeout=31536000, interactive_timeout=31536000, autocommit=1",
                 patience);
  }
  if (opened) opened = run_if_known("SET SESSION max_statement_time=0", patience);
  // Galera: else every statement would wait for the cluster's writes, which the lock holds back.
  if (opened) opened = run_if_known("SET SESSION wsrep_sync_wait=0", patience);
  if (opened) opened = learn_facts(patience);
  if (!opened) close();
  return opened;
}

Result<void> MysqlSession::learn_facts(const Patience& patience) {
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
  return learn_redo(patience);
}

Result<void> MysqlSession::learn_redo(const Patience& patience) {
  auto answer =
      query("SELECT @@global.innodb_flush_log_at_trx_commit, @@global.innodb_flush_log_at_timeout",
            patience);
  if (!answer && server_error() == 0) return std::move(answer).error();
  if (!answer) return {};  // a server without InnoDB has neither
  facts_.lazy_redo = answer->first(0) == "0";
  facts_.redo_interval = Millis(1000 * static_cast<Millis::rep>(number_of(answer->first(1))));
  return {};
}

Result<std::string> MysqlSession::identify_server(const Patience& patience) {
  const bool mariadb = facts_.version.flavour == Flavour::kMariadb;
  auto uuid =
      query(mariadb ? "SELECT @@global.server_uid" : "SELECT @@global.server_uuid", patience);
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

Result<std::uint64_t> MysqlSession::status_number(const char* name, const Patience& patience) {
  auto answer = query(std::string("SHOW GLOBAL STATUS LIKE '") + name + "'", patience);
  if (!answer) return std::move(answer).error();
  return number_of(answer->first(1));
}

Result<void> MysqlSession::answer(const Patience& patience) {
  return run("DO 0", patience);
}

Result<std::vector<std::string>> MysqlSession::grants(const Patience& patience) {
  auto answer = query("SHOW GRANTS", patience);
  if (!answer) return std::move(answer).error();
  std::vector<std::string> lines;
  for (const Row& row : answer->rows) {
    if (!row.empty() && row.front()) lines.push_back(*row.front());
  }
  return lines;
}

Result<std::vector<RunningStatement>> MysqlSession::long_statements(
    Millis threshold, const std::vector<std::uint64_t>& own, const Patience& patience) {
  const bool mariadb = facts_.version.flavour == Flavour::kMariadb;
  // MariaDB counts milliseconds; MySQL whole seconds, rounded down, so its threshold is too.
  const std::string age = mariadb ? "TIME_MS" : "TIME * 1000";
  const Millis least = mariadb ? threshold : std::chrono::floor<std::chrono::seconds>(threshold);
  const std::string columns = "SELECT ID, USER, " + age + ", LEFT(INFO, 4000) FROM ";
  const std::string where =
      ".PROCESSLIST WHERE COMMAND IN ('Query', 'Execute') AND INFO IS NOT NULL AND " + age +
      " >= " + std::to_string(least.count());
  // MySQL's older table takes a lock that every new connection needs; the newer one (8.0.22) is
  // missing on MariaDB, and where performance_schema is off, empty.
  auto answer = query(columns + "information_schema" + where, patience);
  if (!answer) return std::move(answer).error();
  std::vector<RunningStatement> statements;
  for (const Row& row : answer->rows) {
    const std::uint64_t id = number_of(row.at(0).value_or(""));
    if (std::find(own.begin(), own.end(), id) != own.end()) continue;
    if (!delays_lock(facts_.version, row.at(3).value_or(""))) continue;
    const auto milliseconds = static_cast<Millis::rep>(number_of(row.at(2).value_or("")));
    statements.push_back({id, row.at(1).value_or(""), Millis(milliseconds)});
  }
  return statements;
}

Result<void> MysqlSession::kill(std::uint64_t id, const Patience& patience) {
  return run("KILL " + std::to_string(id), patience);
}

Result<void> MysqlSession::lock_instance(const Patience& patience) {
  const auto seconds = std::max<Millis::rep>(1, patience.deadline.remaining().count() / 1000);
  auto done = run("SET SESSION lock_wait_timeout=" + std::to_string(seconds), patience);
  return done ? run("LOCK INSTANCE FOR BACKUP", patience) : done;
}

Result<void> MysqlSession::unlock_instance(const Patience& patience) {
  return run("UNLOCK INSTANCE", patience);
}

Result<void> MysqlSession::lock_tables(const Patience& patience) {
  const Millis left = patience.deadline.remaining();
  // Counts for each of the statement's waits, and bounds the stall should we die meanwhile: MySQL
  // doesn't notice a closed connection while the lock is pending.
  const auto seconds = std::max<Millis::rep>(1, (left.count() + 999) / 1000);
  const std::string limit =
      facts_.version.flavour == Flavour::kMariadb
          ? ", max_statement_time=" + seconds_text(std::max(left - kServerHeadStart, Millis(1)))
          : std::string();
  auto done = run("SET SESSION lock_wait_timeout=" + std::to_string(seconds) + limit, patience);
  if (!done) return done;
  return run("FLUSH TABLES WITH READ LOCK", patience);
}

Result<void> MysqlSession::unlock_tables(const Patience& patience) {
  auto done = run("UNLOCK TABLES", patience);
  // Only now: until here every statement was one that others waited for.
  if (done && facts_.version.flavour == Flavour::kMariadb) {
    done = run("SET SESSION max_statement_time=0", patience);
  }
  return done;
}

Result<void> MysqlSession::prove_lock(const Patience& patience) {
  if (facts_.version.flavour != Flavour::kMariadb) return run("DO 0", patience);
  auto refused = run("BACKUP STAGE START", patience);
  if (refused) {
    // It is not ours: and now a backup stage is, which must not stay.
    (void)run("BACKUP STAGE END", patience);
    return Error(ErrorCode::kHoldLost, "the server says that this session holds no read lock");
  }
  if (server_error() == kConflictingReadLock || server_error() == kSyntaxError) return {};
  return refused;
}

Result<void> MysqlSession::flush_engine_logs(const Patience& patience) {
  if (auto learned = learn_redo(patience); !learned) return learned;
  return run("FLUSH NO_WRITE_TO_BINLOG ENGINE LOGS", patience);
}

Result<void> MysqlSession::flush_lazy_redo(const Patience& patience) {
  if (!facts_.lazy_redo) return {};
  auto done = run("FLUSH NO_WRITE_TO_BINLOG ENGINE LOGS", patience);
  if (!done) return done;
  const Deadline give_up =
      Deadline::in(facts_.redo_interval + Millis(1000)).earlier_of(patience.deadline);
  auto target = status_number("Innodb_lsn_current", patience);
  if (!target) return std::move(target).error();
  for (;;) {
    auto flushed = status_number("Innodb_lsn_flushed", patience);
    if (!flushed) return std::move(flushed).error();
    // Oracle's server has no such counters, and does flush for that statement.
    if (*flushed >= *target || give_up.passed()) return {};
    const Deadline pause = Deadline::in(kRedoPollInterval).earlier_of(give_up);
    auto paused = this->pause(pause, patience);
    if (!paused) return paused;
  }
}

Result<Table> MysqlSession::binary_log_status(const Patience& patience) {
  // 8.2 has the new words, 8.4 dropped the old ones; MariaDB has the old ones throughout.
  if (facts_.version.flavour == Flavour::kMysql) {
    auto answer = query("SHOW BINARY LOG STATUS", patience);
    if (answer || server_error() != kSyntaxError) return answer;
  }
  return query("SHOW MASTER STATUS", patience);
}

Result<Evidence> MysqlSession::evidence(const Patience& patience) {
  const bool mariadb = facts_.version.flavour == Flavour::kMariadb;
  Evidence evidence;
  if (facts_.binary_log) {
    auto status = binary_log_status(patience);
    if (!status) return std::move(status).error();
    evidence.position.emplace_back("binlog-file", base::printable(status->first("File")));
    evidence.position.emplace_back("binlog-position", base::printable(status->first("Position")));
  }
  // One question for both: each is a round trip that all writers wait for.
  auto answer = query(std::string("SELECT CONNECTION_ID(), ") +
                          (mariadb ? "@@global.gtid_binlog_pos" : "@@global.gtid_executed"),
                      patience);
  if (!answer) return std::move(answer).error();
  evidence.session_id = number_of(answer->first(0));
  const std::string gtid = without_line_breaks(answer->first(1));
  if (facts_.binary_log && !gtid.empty()) {
    evidence.position.emplace_back("gtid", base::printable(gtid, kGtidLimit));
  }
  return evidence;
}

}  // namespace holdfast::mysql
