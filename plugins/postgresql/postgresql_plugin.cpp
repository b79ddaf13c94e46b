// SPDX-License-Identifier: MIT
#include "postgresql/postgresql_plugin.h"

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace holdfast::postgresql {

namespace {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Result;

constexpr int kVersion15 = 150000;
constexpr base::Millis kIdleAnswer{3000};
constexpr const char* kNoCheckpoint = "unable to run CHECKPOINT: ";
constexpr const char* kOldFunctions =
    "pg_start_backup(text, boolean, boolean), pg_stop_backup(boolean, boolean)";

std::string connect_hint(const Error& cause) {
  const ErrorCode code = cause.code();
  for (const char* word : {"SSL", "certificate"}) {
    if (cause.text().find(word) == std::string::npos) continue;
    return "do 'sslrootcert', 'sslcert' and 'sslkey' fit this server?";
  }
  if (code == ErrorCode::kPermission) {
    return "does the role exist? /usr/lib/holdfast/holdfast-postgresql-setup makes it";
  }
  return code == ErrorCode::kUnreachable ? "is the server running, and is this where it listens?"
                                         : "";
}

std::string quoted_role(const std::string& role) {
  return "\"" + base::printable(role, 80) + "\"";
}

}  // namespace

Error PostgresqlPlugin::unable(const std::string& what, Error cause) const {
  return base::wrap(std::move(cause), "unable to " + what + " '" + context().resource + "'");
}

Result<void> PostgresqlPlugin::do_finish_config() {
  auto settings = read_postgresql_settings(options());
  if (!settings) return unable("use the settings of", std::move(settings).error());
  settings_ = std::move(*settings);
  return {};
}

Result<ServerState> PostgresqlPlugin::connect(const Patience& patience) {
  // An interrupt from before this call has had its effect: the session is shut down.
  waker_.reset();
  if (session_.usable() && !session_.hung_up()) {
    // One that does not answer, as its backend hangs or a network drops what is sent, must not use
    // up the time of the one that takes its place.
    const Deadline answer_by =
        Deadline::in(std::min<base::Millis>(kIdleAnswer, patience.deadline.remaining() / 3));
    auto state = session_.state({.deadline = answer_by, .stop = patience.stop});
    if (state) return state;
  }
  session_.close();
  auto begun = session_.begin(settings_.connect, patience);
  if (begun) {
    auto state = session_.state(patience);
    if (state) return state;
    session_.close();
    begun = std::move(state).error();
  }
  Error cause = std::move(begun).error();
  std::string hint = connect_hint(cause);
  return base::wrap(std::move(cause), "unable to connect to '" + context().resource + "' at '" +
                                          base::printable(settings_.target) + "'")
      .with_hint(std::move(hint));
}

Result<std::vector<std::string>> PostgresqlPlugin::check_privileges() const {
  const ServerFacts& facts = session_.facts();
  const std::string role = quoted_role(facts.role);
  const bool modern = facts.version >= kVersion15;
  const auto lacks = [&](const std::string& what, const std::string& grant) {
    return Error(ErrorCode::kPermission,
                 "unable to use '" + context().resource + "': role " + role + " lacks " + what)
        .with_hint("GRANT " + grant + " TO " + role);
  };
  std::vector<std::string> warnings;
  if (settings_.mode == Mode::kBackup) {
    if (!facts.may_back_up) {
      return modern ? lacks("EXECUTE on pg_backup_start and pg_backup_stop",
                            "EXECUTE ON FUNCTION pg_backup_start, pg_backup_stop")
                    : lacks("EXECUTE on pg_start_backup and pg_stop_backup",
                            std::string("EXECUTE ON FUNCTION ") + kOldFunctions);
    }
    if (!facts.archives) {
      warnings.emplace_back("archive_mode is off: mode 'backup' is of use only with archived WAL");
    }
  } else if (!facts.may_checkpoint && modern) {
    return lacks("pg_checkpoint", "pg_checkpoint");
  } else if (!facts.may_checkpoint && !facts.may_back_up) {
    warnings.push_back("role " + role + " may not run CHECKPOINT (before PostgreSQL 15 only a " +
                       "superuser may), nor pg_start_backup, which would do as well: a restored " +
                       "snapshot takes longer to start (GRANT EXECUTE ON FUNCTION " +
                       kOldFunctions + " TO " + role + ")");
  }
  if (facts.in_the_clear) {
    warnings.emplace_back(
        "the connection goes over a network and is not encrypted (sslmode = verify-full)");
  }
  if (!checkpoint_problem_.empty() && (facts.may_checkpoint || facts.may_back_up)) {
    warnings.push_back(
        std::string("the last snapshot has no fresh checkpoint and takes longer to start: ") +
        kNoCheckpoint + checkpoint_problem_);
  }
  return warnings;
}

Result<api::ProbeReport> PostgresqlPlugin::probe(Deadline deadline, std::stop_token stop) {
  auto state = connect({.deadline = deadline, .stop = std::move(stop)});
  if (!state) return std::move(state).error();
  auto warnings = check_privileges();
  if (!warnings) {
    session_.close();
    return std::move(warnings).error();
  }
  return api::ProbeReport{
      {"PostgreSQL", version_shown(session_.facts(), *state),
       state->system_id + "@" + state->started, std::to_string(state->session_id)},
      std::move(*warnings)};
}

Result<void> PostgresqlPlugin::run_checkpoint(const Patience& patience) {
  checkpoint_problem_.clear();
  const ServerFacts& facts = session_.facts();
  if (!facts.may_checkpoint && (facts.version >= kVersion15 || !facts.may_back_up)) {
    checkpoint_problem_ = "role " + quoted_role(facts.role) + " may not run it";
    return {};
  }
  // A third is left for the rest of the freeze, which must not fail for a slow checkpoint.
  const Deadline deadline = Deadline::in(
      std::min<base::Millis>(settings_.checkpoint_timeout, patience.deadline.remaining() * 2 / 3));
  auto done = session_.checkpoint({.deadline = deadline, .stop = patience.stop});
  if (done) return {};
  if (done.error().code() == ErrorCode::kCancelled && patience.stop.stop_requested()) return done;
  checkpoint_problem_ = done.error().text();
  if (session_.usable()) return {};
  // The session did not answer the cancel. Nothing was held by it; a new one does as well.
  auto connected = connect(patience);
  if (!connected) return std::move(connected).error();
  return {};
}

Result<void> PostgresqlPlugin::prepare(const api::Window& window, Deadline deadline,
                                       std::stop_token stop) {
  const Patience patience{.deadline = deadline, .stop = std::move(stop)};
  // Nothing is held yet, so a session that was lost while idle may be replaced.
  if (auto connected = connect(patience); !connected) return std::move(connected).error();
  if (settings_.mode == Mode::kCheckpoint) {
    auto done = run_checkpoint(patience);
    if (!done) return unable("prepare", std::move(done).error());
    return {};
  }
  base::Result<std::string> started = std::string();
  if (auto bounded = session_.bound_silence(window.max_hold, patience); !bounded) {
    started = std::move(bounded).error();
  } else {
    started = session_.backup_start("holdfast " + window.id, patience);
  }
  if (!started) {
    // A start that was cancelled may have come through: the end of the session ends it.
    session_.close();
    return unable("start a backup of", std::move(started).error());
  }
  checkpoint_problem_.clear();
  backup_ = RunningBackup{std::move(*started), window.id, context().state_directory,
                          settings_.labels_kept};
  return {};
}

Result<std::unique_ptr<api::Hold>> PostgresqlPlugin::hold(const api::Window&, Deadline deadline,
                                                          std::stop_token stop) {
  auto failed = [&](Error cause) {
    backup_.reset();
    session_.close();
    return unable("hold", std::move(cause));
  };
  if (!session_.usable()) return failed(Error(ErrorCode::kUnreachable, "not connected"));
  if (settings_.mode == Mode::kBackup && !backup_) {
    return failed(Error(ErrorCode::kInternal, "no backup was started"));
  }
  auto state = session_.state({.deadline = deadline, .stop = std::move(stop)});
  if (!state) return failed(std::move(state).error());
  std::string warning;
  if (!checkpoint_problem_.empty()) {
    warning =
        std::string(kNoCheckpoint) + checkpoint_problem_ + ", continuing: recovery takes longer";
  }
  return std::make_unique<PostgresqlHold>(session_, keeper_, context().resource, std::move(*state),
                                          std::exchange(backup_, std::nullopt), std::move(warning));
}

void PostgresqlPlugin::rollback(Deadline deadline) {
  if (!std::exchange(backup_, std::nullopt)) return;
  const Patience patience{.deadline = deadline};
  if (!session_.backup_stop(patience) || !session_.unbound_silence(patience)) session_.close();
}

void PostgresqlPlugin::interrupt() {
  waker_.interrupt();
  session_.shut_down();
}

}  // namespace holdfast::postgresql
