// SPDX-License-Identifier: MIT
#include "mysql/mysql_session.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "base/text.h"

namespace holdfast::mysql {

namespace {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Millis;
using base::Result;

constexpr const char* kTakeReadLock = "FLUSH TABLES WITH READ LOCK";
constexpr unsigned kSyntaxError = 1064;
constexpr unsigned kConflictingReadLock = 1223;
constexpr unsigned kStageNotAfterCurrent = 4147;
// How much earlier than our own deadline the server is to give up: its answer leaves the session in
// a known state, our deadline does not.
constexpr Millis kServerHeadStart{20};
constexpr Millis kRedoPollInterval{50};
// All writers wait meanwhile. The server's own interval is 1 s by default; where it is set to much
// more, waiting for it would only cost.
constexpr Millis kRedoPatience{3000};
// What stays of a window's time for the rest when the redo log does not come.
constexpr Millis kRedoReserve{1000};
// Whole, since it is compared; a set of many servers with gaps is long.
constexpr std::size_t kGtidLimit = std::size_t{64} << 10U;

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

const char* name_of(BackupStage stage) {
  switch (stage) {
    case BackupStage::kStart:
      return "START";
    case BackupStage::kFlush:
      return "FLUSH";
    case BackupStage::kBlockDdl:
      return "BLOCK_DDL";
    case BackupStage::kBlockCommit:
      return "BLOCK_COMMIT";
  }
  return "";
}

void add(api::Position& position, const char* key, const std::string& value) {
  if (!value.empty()) position.emplace_back(key, base::printable(value, kGtidLimit));
}

}  // namespace

Result<void> MysqlSession::lock_instance(const Patience& patience) {
  const auto seconds = std::max<Millis::rep>(1, patience.deadline.remaining().count() / 1000);
  auto done = run("SET SESSION lock_wait_timeout=" + std::to_string(seconds), patience);
  return done ? run("LOCK INSTANCE FOR BACKUP", patience) : done;
}

Result<void> MysqlSession::unlock_instance(const Patience& patience) {
  return run("UNLOCK INSTANCE", patience);
}

Result<void> MysqlSession::limit_waits(const Patience& patience) {
  const Millis left = patience.deadline.remaining();
  // Counts for each of a statement's waits, and bounds the stall should we die meanwhile: MySQL
  // doesn't notice a closed connection while the lock is pending.
  const auto seconds = std::max<Millis::rep>(1, (left.count() + 999) / 1000);
  const std::string limit =
      mariadb()
          ? ", max_statement_time=" + seconds_text(std::max(left - kServerHeadStart, Millis(1)))
          : std::string();
  return run("SET SESSION lock_wait_timeout=" + std::to_string(seconds) + limit, patience);
}

Result<void> MysqlSession::lift_limits(const Patience& patience) {
  return mariadb() ? run("SET SESSION max_statement_time=0", patience) : Result<void>();
}

Result<void> MysqlSession::lock_tables(const Patience& patience) {
  position_ahead_.reset();
  if (auto done = limit_waits(patience); !done) return done;
  return mariadb() ? lock_with_position(kTakeReadLock, patience) : run(kTakeReadLock, patience);
}

Result<void> MysqlSession::lock_with_position(const std::string& lock, const Patience& patience) {
  // Each round trip from here on is one that all writers wait for; max_statement_time bounds each
  // of these statements on the server.
  std::vector<std::string> statements = position_statements();
  statements.insert(statements.begin(), lock);
  auto answers = query_all(statements, patience);
  if (!answers) return std::move(answers).error();
  if (answers->tables.empty()) return std::move(*answers->refused);
  answers->tables.erase(answers->tables.begin());
  // What has gone wrong with the position is evidence()'s to find out.
  if (!answers->refused) position_ahead_ = std::move(answers->tables);
  return {};
}

Result<void> MysqlSession::unlock_tables(const Patience& patience) {
  auto done = run("UNLOCK TABLES", patience);
  // Only now: until here every statement was one that others waited for.
  return done ? lift_limits(patience) : done;
}

Result<void> MysqlSession::enter_backup_stage(BackupStage stage, const Patience& patience) {
  position_ahead_.reset();
  auto done = limit_waits(patience);
  if (!done) return done;
  stage_open_ = true;
  const std::string statement = std::string("BACKUP STAGE ") + name_of(stage);
  return stage == BackupStage::kBlockCommit ? lock_with_position(statement, patience)
                                            : run(statement, patience);
}

Result<void> MysqlSession::end_backup_stage(const Patience& patience) {
  auto done = run("BACKUP STAGE END", patience);
  if (!done) return done;
  stage_open_ = false;
  return lift_limits(patience);
}

Result<void> MysqlSession::drop_locks(const Patience& patience) {
  if (!std::exchange(stage_open_, false)) return run("UNLOCK TABLES", patience);
  return run_if_known("BACKUP STAGE END", patience);
}

Result<Proof> MysqlSession::prove_by_refusal(const char* statement, unsigned number,
                                             const char* undo, const char* otherwise,
                                             const Patience& patience) {
  std::vector<std::string> statements = position_statements();
  const std::size_t positions = statements.size();
  statements.emplace_back(statement);
  auto answers = query_all(statements, patience);
  if (!answers) return std::move(answers).error();
  auto& tables = answers->tables;
  if (tables.size() < positions) return std::move(*answers->refused);
  const bool agreed = tables.size() > positions;
  const bool expected = !agreed && server_error() == number;
  if (agreed && undo != nullptr) (void)run(undo, patience);
  tables.resize(positions);
  auto evidence = evidence_of(tables, patience);
  if (!evidence) return std::move(evidence).error();
  Proof proof{std::move(*evidence), std::nullopt};
  if (!expected) proof.denial = Error(ErrorCode::kHoldLost, otherwise);
  return proof;
}

Result<Proof> MysqlSession::prove_read_lock(const Patience& patience) {
  if (!facts().version.at_least(10, 4)) {
    auto evidence = this->evidence(patience);
    if (!evidence) return std::move(evidence).error();
    return Proof{std::move(*evidence), std::nullopt};
  }
  // Should it succeed, then a backup stage is open that must not stay.
  return prove_by_refusal("BACKUP STAGE START", kConflictingReadLock, "BACKUP STAGE END",
                          "the server says that this session holds no read lock", patience);
}

Result<Proof> MysqlSession::prove_block_commit(const Patience& patience) {
  return prove_by_refusal("BACKUP STAGE BLOCK_COMMIT", kStageNotAfterCurrent, nullptr,
                          "the server says that this session does not block commits", patience);
}

Result<std::optional<bool>> MysqlSession::owns_metadata_lock(const std::string& kind,
                                                             const Patience& patience) {
  auto owned =
      query("SELECT COUNT(*) FROM performance_schema.metadata_locks WHERE OBJECT_TYPE = '" + kind +
                "' AND LOCK_TYPE = 'SHARED' AND LOCK_STATUS = 'GRANTED' AND "
                "OWNER_THREAD_ID = PS_CURRENT_THREAD_ID()",
            patience);
  if (owned) return std::make_optional(number_of(owned->first()) > 0);
  if (server_error() == 0) return std::move(owned).error();
  return std::optional<bool>();
}

Result<void> MysqlSession::flush_engine_logs(const Patience& patience) {
  if (auto learned = learn_redo(patience); !learned) return learned;
  auto sources = applied_sources(patience);
  if (!sources) return std::move(sources).error();
  has_sources_ = *sources && !(*sources)->empty();
  return run("FLUSH NO_WRITE_TO_BINLOG ENGINE LOGS", patience);
}

Result<std::uint64_t> MysqlSession::flush_lazy_redo(const Patience& patience) {
  if (!facts().lazy_redo) return std::uint64_t{0};
  if (auto done = run("FLUSH NO_WRITE_TO_BINLOG ENGINE LOGS", patience); !done) {
    return std::move(done).error();
  }
  const Millis left = std::max(patience.deadline.remaining() - kRedoReserve, Millis(0));
  const Deadline give_up =
      Deadline::in(std::min({facts().redo_interval + Millis(1000), kRedoPatience, left}));
  // Oracle's server has no such counters, and does flush for that statement.
  auto target = status_number("Innodb_lsn_current", patience);
  if (!target) return target;
  for (;;) {
    auto flushed = status_number("Innodb_lsn_flushed", patience);
    if (!flushed || *flushed >= *target) return flushed ? Result<std::uint64_t>(0) : flushed;
    if (give_up.passed()) return *target - *flushed;
    const Deadline pause = Deadline::in(kRedoPollInterval).earlier_of(give_up);
    if (auto paused = this->pause(pause, patience); !paused) return std::move(paused).error();
  }
}

Result<Table> MysqlSession::binary_log_status(const Patience& patience) {
  // 8.2 has the new words, 8.4 dropped the old ones.
  auto answer = query("SHOW BINARY LOG STATUS", patience);
  if (answer || server_error() != kSyntaxError) return answer;
  return query("SHOW MASTER STATUS", patience);
}

Result<void> MysqlSession::add_sources(Evidence& evidence, const Patience& patience) {
  if (!has_sources_) return {};
  auto sources = applied_sources(patience);
  if (!sources) return std::move(sources).error();
  if (*sources)
    std::move((*sources)->begin(), (*sources)->end(), std::back_inserter(evidence.position));
  return {};
}

std::vector<std::string> MysqlSession::position_statements() const {
  std::vector<std::string> statements;
  if (facts().binary_log) statements.emplace_back("SHOW MASTER STATUS");
  statements.emplace_back(
      "SELECT CONNECTION_ID(), @@global.gtid_binlog_pos, @@global.gtid_slave_pos");
  return statements;
}

Result<std::vector<Table>> MysqlSession::ask_position(const Patience& patience) {
  if (auto ahead = std::exchange(position_ahead_, std::nullopt)) return std::move(*ahead);
  if (mariadb()) {
    auto answers = query_all(position_statements(), patience);
    if (!answers) return std::move(answers).error();
    if (answers->refused) return std::move(*answers->refused);
    return std::move(answers->tables);
  }
  std::vector<Table> tables;
  if (facts().binary_log) {
    auto status = binary_log_status(patience);
    if (!status) return std::move(status).error();
    tables.push_back(std::move(*status));
  }
  auto answer = query("SELECT CONNECTION_ID(), @@global.gtid_executed, ''", patience);
  if (!answer) return std::move(answer).error();
  tables.push_back(std::move(*answer));
  return tables;
}

Result<Evidence> MysqlSession::evidence(const Patience& patience) {
  auto tables = ask_position(patience);
  if (!tables) return std::move(tables).error();
  return evidence_of(*tables, patience);
}

Result<Evidence> MysqlSession::evidence_of(const std::vector<Table>& position,
                                           const Patience& patience) {
  Evidence evidence;
  if (facts().binary_log) {
    const Table& status = position.front();
    add(evidence.position, "binlog-file", status.first("File"));
    add(evidence.position, "binlog-position", status.first("Position"));
  }
  const Table& answer = position.back();
  evidence.session_id = number_of(answer.first(0));
  if (facts().binary_log) add(evidence.position, "gtid", without_line_breaks(answer.first(1)));
  add(evidence.position, "gtid-applied", without_line_breaks(answer.first(2)));
  if (auto added = add_sources(evidence, patience); !added) return std::move(added).error();
  return evidence;
}

Result<Evidence> MysqlSession::evidence_at_once(const Patience& patience) {
  auto answer = query(
      "SELECT CONNECTION_ID() AS session, "
      "JSON_UNQUOTE(JSON_EXTRACT(`LOCAL`, '$.binary_log_file')) AS file, "
      "JSON_EXTRACT(`LOCAL`, '$.binary_log_position') AS position, "
      "JSON_UNQUOTE(JSON_EXTRACT(`LOCAL`, '$.gtid_executed')) AS gtid, "
      "JSON_EXTRACT(STORAGE_ENGINES, '$.InnoDB.LSN') AS lsn, "
      "JSON_EXTRACT(STORAGE_ENGINES, '$.InnoDB.LSN_checkpoint') AS checkpoint "
      "FROM performance_schema.log_status",
      patience);
  if (!answer) return std::move(answer).error();
  Evidence evidence;
  evidence.session_id = number_of(answer->first("session"));
  if (facts().binary_log) {
    add(evidence.position, "binlog-file", answer->first("file"));
    add(evidence.position, "binlog-position", answer->first("position"));
    add(evidence.position, "gtid", without_line_breaks(answer->first("gtid")));
  }
  add(evidence.position, "lsn", answer->first("lsn"));
  add(evidence.position, "checkpoint-lsn", answer->first("checkpoint"));
  if (auto added = add_sources(evidence, patience); !added) return std::move(added).error();
  return evidence;
}

}  // namespace holdfast::mysql
