// SPDX-License-Identifier: MIT
#include "mysql/mysql_plugin.h"

#include <utility>

#include "base/text.h"
#include "mysql/grants.h"
#include "mysql/long_statements.h"
#include "mysql/mysql_hold.h"

namespace holdfast::mysql {

namespace {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Millis;
using base::Result;

// How long `auto` waits for a backup stage to begin before it takes FTWRL.
constexpr Millis kFallBackTime{300};

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
  const std::string hint =
      connected.error().hint().empty() ? connect_hint(code) : connected.error().hint();
  return Error(code, "unable to connect to '" + context().resource + "' at '" +
                         base::printable(settings_.connect.target()) + "'")
      .with_hint(hint)
      .caused_by(std::move(connected).error());
}

Result<MysqlPlugin::Account> MysqlPlugin::ask_account(const Patience& patience) {
  auto lines = sessions_.control().grants(patience);
  if (!lines) return unable("read the privileges on", std::move(lines).error());
  return Account{quoted_account(sessions_.lock().facts().account), global_privileges(*lines),
                 std::move(*lines)};
}

Result<void> MysqlPlugin::choose(const Account& account, const Patience& patience) {
  const ServerVersion& version = sessions_.lock().facts().version;
  may_lock_instance_ =
      has_instance_lock(version) && has_privilege(account.privileges, "BACKUP_ADMIN");
  Survey survey;
  if (settings_.lock == LockSetting::kAuto) {
    auto seen = sessions_.control().survey(patience);
    if (!seen) return unable("survey", std::move(seen).error());
    survey = *seen;
    survey.sees_every_table = sees_every_table(account.privileges, account.lines);
    survey.may_lock_instance = may_lock_instance_;
    if (may_lock_instance_) {
      auto reads = sessions_.control().reads_log_status(patience);
      if (!reads) return unable("survey", std::move(reads).error());
      survey.reads_log_status = *reads;
    }
  }
  auto choice = choose_lock(settings_.lock, version, survey);
  if (!choice) return unable("use", std::move(choice).error());
  choice_ = std::move(*choice);
  return check_privileges(account, patience);
}

Result<void> MysqlPlugin::check_privileges(const Account& account, const Patience& patience) {
  const ServerFacts& facts = sessions_.lock().facts();
  const Needs needs{.binary_log = facts.binary_log,
                    .instance_lock = choice_.kind == LockKind::kInstance,
                    .kills = settings_.long_statements.kills()};
  const std::string lacks =
      "unable to use '" + context().resource + "': account " + account.name + " lacks ";
  const std::string missing = joined(missing_privileges(account.privileges, facts.version, needs));
  if (!missing.empty()) {
    return Error(ErrorCode::kPermission, lacks + missing)
        .with_hint("GRANT " + missing + " ON *.* TO " + account.name);
  }
  if (choice_.kind != LockKind::kInstance) return {};
  auto reads = sessions_.control().reads_log_status(patience);
  if (!reads) return unable("read the log status of", std::move(reads).error());
  if (*reads) return {};
  return Error(ErrorCode::kPermission, lacks + "SELECT on performance_schema.log_status")
      .with_hint("GRANT SELECT ON performance_schema.log_status TO " + account.name);
}

Result<std::vector<std::string>> MysqlPlugin::advise(const Account& account,
                                                     const Patience& patience) {
  const ServerFacts& facts = sessions_.lock().facts();
  std::vector<std::string> warnings;
  if (has_instance_lock(facts.version) && !may_lock_instance_) {
    warnings.push_back("account " + account.name +
                       " lacks BACKUP_ADMIN: DDL that runs during a freeze stalls all writers");
  }
  if (facts.lazy_redo) {
    warnings.emplace_back(
        "innodb_flush_log_at_trx_commit is 0: a freeze may wait for up to a second under the lock");
  }
  if (!facts.binary_log) {
    warnings.emplace_back("the binary log is off: there is no position to record and compare");
  }
  auto replicating = sessions_.control().is_replicating(patience);
  if (!replicating) return std::move(replicating).error();
  if (*replicating && !may_see_sources(account.privileges, facts.version)) {
    warnings.push_back("account " + account.name +
                       " lacks SLAVE MONITOR: how far this replica has applied its sources is not "
                       "recorded (GRANT SLAVE MONITOR ON *.* TO " +
                       account.name + ")");
  }
  if (settings_.lock == LockSetting::kAuto) return warnings;
  // What `auto` would have seen for itself.
  if (choice_.kind == LockKind::kFtwrl) return warnings;
  auto survey = sessions_.control().survey(patience);
  if (!survey) return std::move(survey).error();
  if (choice_.kind == LockKind::kBackupStage && survey->parallel_threads > 0 &&
      survey->replica.value_or(true)) {
    warnings.emplace_back(
        "a parallel replica may commit in spite of a backup stage (MDEV-36025): "
        "set lock = ftwrl or auto");
  }
  if (choice_.kind == LockKind::kInstance && survey->tables_outside_innodb > 0) {
    warnings.push_back("tables outside InnoDB, which lock = instance does not protect: " +
                       std::to_string(survey->tables_outside_innodb));
  }
  return warnings;
}

Result<api::ProbeReport> MysqlPlugin::probe(Deadline deadline, std::stop_token stop) {
  const Patience patience{.deadline = deadline, .stop = std::move(stop)};
  if (auto connected = connect(patience); !connected) return std::move(connected).error();
  const auto failed = [this](Error error) {
    sessions_.close();
    return error;
  };
  auto account = ask_account(patience);
  if (!account) return failed(std::move(account).error());
  if (auto chosen = choose(*account, patience); !chosen) return failed(std::move(chosen).error());
  auto warnings = advise(*account, patience);
  if (!warnings) return failed(unable("survey", std::move(warnings).error()));
  for (const std::string& line : killed_)
    warnings->push_back("an earlier freeze " + line);
  const ServerFacts& facts = sessions_.lock().facts();
  return api::ProbeReport{{name_of(facts.version.flavour), facts.version_text, facts.server_uuid,
                           std::to_string(facts.session_id)},
                          std::move(*warnings),
                          {{"lock", name_of(choice_.kind)}, {"lock-reason", choice_.reason}}};
}

void MysqlPlugin::abandon() {
  sessions_.abandon();
  lock_.reset();
}

Result<void> MysqlPlugin::prepare_lock(const api::Window& window, const Patience& patience) {
  if (auto bounded = sessions_.lock().bound_silence(window.max_hold, patience); !bounded) {
    return bounded;
  }
  lock_ = make_lock(choice_.kind, sessions_.lock(), may_lock_instance_);
  if (!choice_.may_fall_back) return lock_->prepare(patience);
  const Patience brief{.deadline = Deadline::in(kFallBackTime).earlier_of(patience.deadline),
                       .stop = patience.stop};
  auto prepared = lock_->prepare(brief);
  if (prepared || prepared.error().code() != ErrorCode::kTimedOut || patience.deadline.passed()) {
    return prepared;
  }
  abandon();
  if (auto connected = connect(patience); !connected) return connected;
  choice_ = {LockKind::kFtwrl,
             "another backup, or LOCK TABLES of a session, is in the way of a "
             "backup stage",
             false};
  return prepare_lock(window, patience);
}

Result<void> MysqlPlugin::clear_the_way(const Patience& patience) {
  LongStatements statements(
      sessions_.control(), settings_.long_statements,
      {sessions_.lock().facts().session_id, sessions_.control().facts().session_id});
  auto cleared = statements.clear(*lock_, patience);
  killed_ = statements.killed();
  return cleared;
}

Result<void> MysqlPlugin::prepare(const api::Window& window, Deadline deadline,
                                  std::stop_token stop) {
  const Patience patience{.deadline = deadline, .stop = std::move(stop)};
  killed_.clear();
  // Nothing is held yet, so a session that was lost while idle may be replaced.
  if (auto connected = connect(patience); !connected) return connected;
  auto account = ask_account(patience);
  if (!account) return std::move(account).error();
  if (auto chosen = choose(*account, patience); !chosen) return chosen;
  auto prepared = prepare_lock(window, patience);
  if (!prepared) {
    abandon();
    return unable("prepare", std::move(prepared).error());
  }
  prepared = sessions_.lock().flush_engine_logs(patience);
  if (prepared) prepared = clear_the_way(patience);
  if (prepared) return {};
  rollback(deadline);
  return unable("prepare", std::move(prepared).error());
}

Result<std::unique_ptr<api::Hold>> MysqlPlugin::hold(const api::Window&, Deadline deadline,
                                                     std::stop_token stop) {
  if (!sessions_.usable() || lock_ == nullptr) {
    return unable("lock tables on", Error(ErrorCode::kUnreachable, "not connected"));
  }
  const Deadline lock_deadline = Deadline::in(settings_.lock_timeout).earlier_of(deadline);
  const auto start = std::chrono::steady_clock::now();
  const Patience patience{.deadline = lock_deadline, .stop = std::move(stop)};
  if (auto locked = lock_->take(patience); !locked) {
    abandon();
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
  auto hold =
      std::make_unique<MysqlHold>(sessions_, context().resource, std::move(lock_), choice_.reason);
  if (auto settled = hold->establish({.deadline = deadline, .stop = patience.stop}); !settled) {
    abandon();
    return unable("settle the lock on", std::move(settled).error());
  }
  for (std::string& line : std::exchange(killed_, {}))
    hold->warn(std::move(line));
  return std::unique_ptr<api::Hold>(std::move(hold));
}

void MysqlPlugin::rollback(Deadline deadline) {
  if (lock_ == nullptr) return;
  const std::unique_ptr<LockStrategy> lock = std::move(lock_);
  auto released = lock->release({.deadline = deadline});
  if (released) released = sessions_.lock().unbound_silence({.deadline = deadline});
  if (!released) sessions_.abandon();
}

}  // namespace holdfast::mysql
