// SPDX-License-Identifier: MIT
#include "mysql/mysql_plugin.h"

#include <algorithm>
#include <utility>

#include "base/duration.h"
#include "base/text.h"
#include "mysql/grants.h"
#include "mysql/mysql_hold.h"

namespace holdfast::mysql {

namespace {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Millis;
using base::Result;

constexpr Millis kLongStatementInterval{100};

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words)
    text += (text.empty() ? "" : ", ") + word;
  return text;
}

std::string connect_hint(ErrorCode code) {
  if (code == ErrorCode::kPermission) {
    return "does the account exist? /usr/lib/holdfast/holdfast-mysql-setup makes it";
  }
  return code == ErrorCode::kUnreachable ? "is the server running, and is this where it listens?"
                                         : "";
}

}  // namespace

Error MysqlPlugin::unable(const std::string& what, Error cause) const {
  return base::wrap(std::move(cause), "unable to " + what + " '" + context().resource + "'");
}

Result<void> MysqlPlugin::do_finish_config() {
  auto settings = read_mysql_settings(options());
  if (!settings) return unable("use the settings of", std::move(settings).error());
  settings_ = std::move(*settings);
  return {};
}

Result<void> MysqlPlugin::connect(const Patience& patience) {
  auto connected = sessions_.ensure(settings_.connect, patience);
  if (connected) return connected;
  const ErrorCode code = connected.error().code();
  return Error(code, "unable to connect to '" + context().resource + "' at '" +
                         base::printable(settings_.connect.target()) + "'")
      .with_hint(connect_hint(code))
      .caused_by(std::move(connected).error());
}

bool MysqlPlugin::instance_lock_exists() const {
  const ServerVersion& version = sessions_.lock().facts().version;
  return version.flavour == Flavour::kMysql && version.at_least(8, 0);
}

Result<std::vector<std::string>> MysqlPlugin::check_privileges(const Patience& patience) {
  auto lines = sessions_.control().grants(patience);
  if (!lines) return unable("read the privileges on", std::move(lines).error());
  const ServerFacts& facts = sessions_.lock().facts();
  const std::string account = quoted_account(facts.account);
  const auto held = global_privileges(*lines);
  const auto missing = missing_privileges(held, facts.version, facts.binary_log);
  if (!missing.empty()) {
    return Error(ErrorCode::kPermission, "unable to use '" + context().resource + "': account " +
                                             account + " lacks " + joined(missing))
        .with_hint("GRANT " + joined(missing) + " ON *.* TO " + account);
  }
  std::vector<std::string> warnings;
  may_lock_instance_ = instance_lock_exists() && has_privilege(held, "BACKUP_ADMIN");
  if (instance_lock_exists() && !may_lock_instance_) {
    warnings.push_back("account " + account +
                       " lacks BACKUP_ADMIN: DDL that runs during a freeze stalls all writers");
  }
  if (facts.lazy_redo) {
    warnings.emplace_back(
        "innodb_flush_log_at_trx_commit is 0: a freeze may wait for up to a second under the lock");
  }
  if (!facts.binary_log) {
    warnings.emplace_back("the binary log is off: there is no position to record and compare");
  }
  return warnings;
}

Result<api::ProbeReport> MysqlPlugin::probe(Deadline deadline, std::stop_token stop) {
  const Patience patience{.deadline = deadline, .stop = std::move(stop)};
  if (auto connected = connect(patience); !connected) return std::move(connected).error();
  auto warnings = check_privileges(patience);
  if (!warnings) {
    sessions_.close();
    return std::move(warnings).error();
  }
  const ServerFacts& facts = sessions_.lock().facts();
  return api::ProbeReport{{name_of(facts.version.flavour), facts.version_text, facts.server_uuid,
                           std::to_string(facts.session_id)},
                          std::move(*warnings)};
}

Result<void> MysqlPlugin::wait_out_long_statements(const Patience& patience) {
  const Deadline give_up =
      Deadline::in(settings_.long_statement_wait).earlier_of(patience.deadline);
  const std::vector<std::uint64_t> own{sessions_.lock().facts().session_id,
                                       sessions_.control().facts().session_id};
  for (;;) {
    auto running =
        sessions_.control().long_statements(settings_.long_statement_threshold, own, patience);
    if (!running) return std::move(running).error();
    if (running->empty()) return {};
    if (give_up.passed()) {
      const auto oldest =
          std::max_element(running->begin(), running->end(),
                           [](const auto& one, const auto& other) { return one.age < other.age; });
      return Error(ErrorCode::kBusy, description_of(*oldest))
          .with_hint("let it end, or raise long-statement-wait, which is " +
                     base::format_duration(settings_.long_statement_wait));
    }
    const Deadline next = Deadline::in(kLongStatementInterval).earlier_of(give_up);
    if (auto paused = sessions_.control().pause(next, patience); !paused) return paused;
  }
}

Result<void> MysqlPlugin::prepare(const api::Window&, Deadline deadline, std::stop_token stop) {
  const Patience patience{.deadline = deadline, .stop = std::move(stop)};
  // Nothing is held yet, so a session that was lost while idle may be replaced.
  if (auto connected = connect(patience); !connected) return connected;
  if (may_lock_instance_) {
    auto locked = sessions_.lock().lock_instance(patience);
    if (!locked) {
      sessions_.abandon();
      return unable("lock the instance against DDL on", std::move(locked).error());
    }
    instance_locked_ = true;
  }
  auto prepared = sessions_.lock().flush_engine_logs(patience);
  if (prepared) prepared = wait_out_long_statements(patience);
  if (prepared) return {};
  rollback(deadline);
  return unable("prepare", std::move(prepared).error());
}

Result<std::unique_ptr<api::Hold>> MysqlPlugin::hold(const api::Window&, Deadline deadline,
                                                     std::stop_token stop) {
  if (!sessions_.usable()) {
    return unable("lock tables on", Error(ErrorCode::kUnreachable, "not connected"));
  }
  const Deadline lock_deadline = Deadline::in(settings_.lock_timeout).earlier_of(deadline);
  const auto start = std::chrono::steady_clock::now();
  const Patience patience{.deadline = lock_deadline, .stop = std::move(stop)};
  if (auto locked = sessions_.lock().lock_tables(patience); !locked) {
    sessions_.abandon();
    instance_locked_ = false;
    if (locked.error().code() != ErrorCode::kTimedOut) {
      return unable("lock tables on", std::move(locked).error());
    }
    const auto waited = std::chrono::round<Millis>(std::chrono::steady_clock::now() - start);
    return unable(
        "lock tables on",
        Error(ErrorCode::kTimedOut, "timed out after " + std::to_string(waited.count()) + " ms")
            .with_hint("a statement or LOCK TABLES of another session is in the way; see "
                       "lock-timeout and long-statement-wait"));
  }
  auto hold = std::make_unique<MysqlHold>(sessions_, context().resource,
                                          std::exchange(instance_locked_, false));
  const Patience rest{.deadline = deadline, .stop = patience.stop};
  auto settled = sessions_.lock().flush_lazy_redo(rest);
  if (settled) settled = hold->establish(rest);
  if (!settled) {
    sessions_.abandon();
    return unable("settle the lock on", std::move(settled).error());
  }
  return std::unique_ptr<api::Hold>(std::move(hold));
}

void MysqlPlugin::rollback(Deadline deadline) {
  if (!std::exchange(instance_locked_, false)) return;
  if (!sessions_.lock().unlock_instance({.deadline = deadline})) sessions_.abandon();
}

}  // namespace holdfast::mysql
