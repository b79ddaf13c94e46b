// SPDX-License-Identifier: MIT
#include "postgresql/postgresql_session.h"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "base/text.h"
#include "postgresql/log_position.h"

namespace holdfast::postgresql {

namespace {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Millis;
using base::Result;

constexpr Millis kCancelTime{60};
constexpr Millis kDrainTime{40};
// 15 renamed the backup functions, dropped the exclusive mode and made CHECKPOINT grantable.
constexpr int kVersion15 = 150000;
// 14 has idle_session_timeout.
constexpr int kVersion14 = 140000;

std::string value(const PgResult& result, int column) {
  if (PQntuples(result.get()) < 1 || PQgetisnull(result.get(), 0, column) == 1) return {};
  return PQgetvalue(result.get(), 0, column);
}

template <typename Number>
Number number(std::string_view text) {
  Number result = 0;
  std::from_chars(text.data(), text.data() + text.size(), result);
  return result;
}

// "START TIMELINE: 3" of a backup label; every version since 11 writes it.
std::uint32_t timeline_of_label(std::string_view label) {
  constexpr std::string_view kHeading = "\nSTART TIMELINE: ";
  const std::size_t at = label.find(kHeading);
  if (at == std::string_view::npos) return 0;
  return number<std::uint32_t>(label.substr(at + kHeading.size()));
}

// Not a unix socket, and not this very machine.
bool is_remote(const char* address) {
  const std::string_view text = address == nullptr ? "" : address;
  return !text.empty() && text.front() != '/' && !text.starts_with("127.") && text != "::1";
}

Keywords with_session_settings(Keywords keywords) {
  keywords.emplace_back("application_name", "holdfast");
  keywords.emplace_back("client_encoding", "UTF8");
  // Else libpq loads and asks Kerberos first.
  keywords.emplace_back("gssencmode", "disable");
  // A TCP connection of which the other end has vanished without a word: each side hears of it
  // within half a minute, where the system's own settings take two hours. Unix sockets have no such
  // thing, and there both ignore this.
  keywords.emplace_back("keepalives_idle", "10");
  keywords.emplace_back("keepalives_interval", "5");
  keywords.emplace_back("keepalives_count", "4");
  keywords.emplace_back("tcp_user_timeout", "30000");
  // What every supported version knows; an idle session must last until the thaw.
  keywords.emplace_back("options",
                        "-c statement_timeout=0 -c lock_timeout=0 "
                        "-c idle_in_transaction_session_timeout=0 "
                        "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 "
                        "-c tcp_keepalives_count=4 -c tcp_user_timeout=30000 "
                        "-c default_transaction_read_only=off -c search_path=pg_catalog");
  return keywords;
}

}  // namespace

Result<PgResult> PostgresqlSession::ask(const std::string& statement, const Patience& patience,
                                        const std::vector<std::string>& parameters) {
  auto answer = query(statement, patience, parameters);
  if (!answer && pending()) cancel();
  if (!answer && !usable()) close();
  return answer;
}

void PostgresqlSession::cancel() {
  base::Waker unheard;
  PostgresqlSession helper(unheard);
  const Patience brief{.deadline = Deadline::in(kCancelTime)};
  if (!helper.open(with_session_settings(connect_), brief)) return;
  const auto cancelled =
      helper.query("SELECT pg_cancel_backend($1)", brief, {std::to_string(facts_.session_id)});
  if (cancelled) (void)drain({.deadline = Deadline::in(kDrainTime), .deaf = true});
}

Result<void> PostgresqlSession::begin(const Keywords& connect, const Patience& patience) {
  connect_ = connect;
  auto opened = open(with_session_settings(connect), patience);
  if (opened) opened = outlast_the_window(patience);
  if (opened) opened = learn_facts(patience);
  if (!opened) close();
  return opened;
}

Result<void> PostgresqlSession::outlast_the_window(const Patience& patience) {
  // idle_session_timeout came with 14, transaction_timeout with 17, and log_statement is for
  // superusers. Asked like this, no version and no role answers with an error, which would stand in
  // the server's log for every connection.
  auto set =
      ask("SELECT set_config(name, CASE vartype WHEN 'enum' THEN 'none' ELSE '0' END, false) "
          "FROM pg_settings WHERE name IN ('idle_session_timeout', 'transaction_timeout') "
          "OR name = 'log_statement' "
          "AND (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)",
          patience);
  if (!set) return std::move(set).error();
  return {};
}

Result<void> PostgresqlSession::bound_silence(Millis longest, const Patience& patience) {
  const auto bound = std::chrono::ceil<std::chrono::seconds>(longest) + std::chrono::seconds(1);
  return set_idle_timeout(bound, patience);
}

Result<void> PostgresqlSession::unbound_silence(const Patience& patience) {
  return set_idle_timeout(Millis(0), patience);
}

Result<void> PostgresqlSession::set_idle_timeout(Millis timeout, const Patience& patience) {
  if (facts_.version < kVersion14) return {};
  auto set = ask("SELECT set_config('idle_session_timeout', $1, false)", patience,
                 {std::to_string(timeout.count())});
  if (!set) return std::move(set).error();
  return {};
}

Result<void> PostgresqlSession::learn_facts(const Patience& patience) {
  facts_ = ServerFacts();
  facts_.version = PQserverVersion(handle());
  facts_.session_id = PQbackendPID(handle());
  const bool modern = facts_.version >= kVersion15;
  // A role that doesn't exist would make pg_has_role() fail, so it is asked for where it exists.
  const std::string checkpoint =
      modern ? "pg_has_role(current_user, 'pg_checkpoint', 'USAGE')" : "false";
  const std::string start =
      modern ? "pg_backup_start(text, boolean)" : "pg_start_backup(text, boolean, boolean)";
  const std::string stop = modern ? "pg_backup_stop(boolean)" : "pg_stop_backup(boolean, boolean)";
  auto answer =
      ask("SELECT current_setting('server_version'), current_user, "
          "(SELECT rolsuper FROM pg_roles WHERE rolname = current_user), " +
              checkpoint + ", has_function_privilege('" + start +
              "', 'EXECUTE') AND has_function_privilege('" + stop +
              "', 'EXECUTE'), current_setting('archive_mode') <> 'off', "
              "pg_size_bytes(current_setting('wal_segment_size'))",
          patience);
  if (!answer) return std::move(answer).error();
  facts_.version_text = base::printable(value(*answer, 0), 100);
  facts_.role = value(*answer, 1);
  facts_.superuser = value(*answer, 2) == "t";
  facts_.may_checkpoint = facts_.superuser || value(*answer, 3) == "t";
  facts_.may_back_up = value(*answer, 4) == "t";
  facts_.archives = value(*answer, 5) == "t";
  facts_.segment_size =
      std::max<std::uint64_t>(number<std::uint64_t>(value(*answer, 6)), 1U << 20U);
  facts_.in_the_clear = PQsslInUse(handle()) == 0 && is_remote(PQhostaddr(handle()));
  return {};
}

Result<ServerState> PostgresqlSession::state(const Patience& patience) {
  auto answer = ask(
      "SELECT (SELECT system_identifier FROM pg_control_system()), "
      "extract(epoch FROM pg_postmaster_start_time()), "
      // The checkpoint's timeline is still the old one for a while after a promotion.
      "CASE WHEN pg_is_in_recovery() THEN (SELECT timeline_id FROM pg_control_checkpoint()) "
      "ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END, "
      "CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, "
      "pg_backend_pid(), pg_is_in_recovery()",
      patience);
  if (!answer) return std::move(answer).error();
  return ServerState{.system_id = base::printable(value(*answer, 0), 32),
                     .started = base::printable(value(*answer, 1), 32),
                     .timeline = base::printable(value(*answer, 2), 16),
                     .lsn = base::printable(value(*answer, 3), 32),
                     .session_id = number<int>(value(*answer, 4)),
                     .in_recovery = value(*answer, 5) == "t"};
}

Result<void> PostgresqlSession::checkpoint(const Patience& patience) {
  if (facts_.may_checkpoint) {
    auto answer = ask("CHECKPOINT", patience);
    if (!answer) return std::move(answer).error();
    return {};
  }
  auto started = backup_start("holdfast checkpoint", patience);
  base::Result<void> done;
  if (!started) {
    done = std::move(started).error();
    // A refusal leaves nothing; a start that was given up may have come through.
    if (done.error().code() != ErrorCode::kTimedOut &&
        done.error().code() != ErrorCode::kCancelled) {
      return done;
    }
  } else if (auto stopped = backup_stop(patience); !stopped) {
    done = std::move(stopped).error();
  }
  // The end of the session ends a backup that is left.
  if (!done) close();
  return done;
}

Result<std::string> PostgresqlSession::backup_start(const std::string& label,
                                                    const Patience& patience) {
  const char* statement = facts_.version >= kVersion15 ? "SELECT pg_backup_start($1, fast => true)"
                                                       : "SELECT pg_start_backup($1, true, false)";
  auto answer = ask(statement, patience, {label});
  if (!answer) return std::move(answer).error();
  return base::printable(value(*answer, 0), 32);
}

Result<BackupStop> PostgresqlSession::backup_stop(const Patience& patience) {
  const char* statement =
      facts_.version >= kVersion15
          ? "SELECT lsn, labelfile, spcmapfile FROM pg_backup_stop(wait_for_archive => false)"
          : "SELECT lsn, labelfile, spcmapfile FROM pg_stop_backup(false, false)";
  auto answer = ask(statement, patience);
  if (!answer) return std::move(answer).error();
  BackupStop stop{base::printable(value(*answer, 0), 32), {}, value(*answer, 1), value(*answer, 2)};
  const auto lsn = parse_lsn(stop.lsn);
  const std::uint32_t timeline = timeline_of_label(stop.label);
  if (lsn && timeline != 0) stop.wal_file = wal_file_of(timeline, *lsn, facts_.segment_size);
  return stop;
}

}  // namespace holdfast::postgresql
