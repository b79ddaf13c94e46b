// SPDX-License-Identifier: MIT
#include "postgresql/postgresql_hold.h"

#include <utility>

#include "postgresql/backup_files.h"
#include "postgresql/log_position.h"

namespace holdfast::postgresql {

namespace {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Result;

constexpr base::Millis kLastResortTime{1000};

}  // namespace

std::string difference(const ServerState& before, const ServerState& after) {
  if (after.system_id != before.system_id) {
    return "another server answers: system identifier was " + before.system_id + " and is " +
           after.system_id;
  }
  if (after.started != before.started) return "the server was restarted";
  if (after.session_id != before.session_id) {
    return "session " + std::to_string(after.session_id) + " answers in place of " +
           std::to_string(before.session_id);
  }
  if (after.in_recovery != before.in_recovery) return "the server was promoted";
  if (after.timeline != before.timeline) {
    return "timeline was " + before.timeline + " and is " + after.timeline;
  }
  const auto first = parse_lsn(before.lsn);
  const auto second = parse_lsn(after.lsn);
  // A standby that has replayed nothing yet has none.
  if (first && (!second || *second < *first)) {
    return "lsn was " + before.lsn + " and is " + (after.lsn.empty() ? "none" : after.lsn);
  }
  return {};
}

PostgresqlHold::PostgresqlHold(PostgresqlSession& session, std::string resource, ServerState state,
                               std::optional<RunningBackup> backup)
    : session_(session),
      resource_(std::move(resource)),
      state_(std::move(state)),
      backup_(std::move(backup)),
      identity_{"PostgreSQL", session.facts().version_text, state_.system_id + "@" + state_.started,
                std::to_string(state_.session_id)},
      position_(position_at(state_)) {}

PostgresqlHold::~PostgresqlHold() {
  (void)release(Deadline::in(kLastResortTime));
}

api::Position PostgresqlHold::position_at(const ServerState& state) const {
  api::Position position;
  if (!state.lsn.empty()) position.emplace_back("lsn", state.lsn);
  if (!state.timeline.empty()) position.emplace_back("timeline", state.timeline);
  if (backup_) position.emplace_back("backup-start-lsn", backup_->start_lsn);
  return position;
}

Error PostgresqlHold::lost(Error cause) const {
  return Error(ErrorCode::kHoldLost, "the session on '" + resource_ + "' was lost")
      .caused_by(std::move(cause));
}

Result<api::Position> PostgresqlHold::check(Deadline deadline) {
  if (released_) return lost(Error(ErrorCode::kHoldLost, "it is released already"));
  if (session_.hung_up()) {
    return lost(Error(ErrorCode::kHoldLost,
                      "the server has ended session " + std::to_string(state_.session_id)));
  }
  auto now = session_.state({.deadline = deadline});
  if (!now) return lost(std::move(now).error());
  const std::string changed = difference(state_, *now);
  if (!changed.empty()) return lost(Error(ErrorCode::kHoldLost, changed));
  return position_at(*now);
}

Result<void> PostgresqlHold::release(Deadline deadline) {
  if (std::exchange(released_, true)) return {};
  // The end of a session ends its backup; that it was lost is check()'s to say.
  if (!session_.usable() || session_.hung_up()) {
    session_.close();
    return {};
  }
  if (!backup_) return {};
  auto failed = [&](Error cause) {
    return base::wrap(std::move(cause), "unable to keep the backup label of '" + resource_ + "'")
        .with_hint("the snapshot restores without it; only archived WAL can't be applied to it");
  };
  auto stop = session_.backup_stop({.deadline = deadline});
  if (!stop) {
    session_.close();
    return failed(std::move(stop).error());
  }
  auto written = write_backup_files(backup_->state_directory, backup_->window, *stop);
  if (!written) return failed(std::move(written).error());
  return {};
}

}  // namespace holdfast::postgresql
