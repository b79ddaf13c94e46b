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
// The record is for small files; with more tablespaces than fit in, those on the disk have to do.
constexpr std::size_t kReportedSize = 16384;

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

std::string version_shown(const ServerFacts& facts, const ServerState& state) {
  return facts.version_text + (state.in_recovery ? ", standby" : "");
}

PostgresqlHold::PostgresqlHold(PostgresqlSession& session, LabelKeeper& keeper,
                               std::string resource, ServerState state,
                               std::optional<RunningBackup> backup, std::string warning)
    : session_(session),
      keeper_(keeper),
      resource_(std::move(resource)),
      state_(std::move(state)),
      backup_(std::move(backup)),
      warning_(std::move(warning)),
      identity_{"PostgreSQL", version_shown(session.facts(), state_),
                state_.system_id + "@" + state_.started, std::to_string(state_.session_id)},
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

api::Position PostgresqlHold::details() const {
  return {{"mode", backup_ ? "backup" : "checkpoint"},
          {"role", state_.in_recovery ? "standby" : "primary"}};
}

std::vector<std::string> PostgresqlHold::warnings() const {
  if (warning_.empty()) return {};
  return {warning_};
}

Error PostgresqlHold::lost(Error cause) const {
  return Error(ErrorCode::kHoldLost, "the session on '" + resource_ + "' was lost")
      .caused_by(std::move(cause));
}

Error PostgresqlHold::session_gone() const {
  return {ErrorCode::kHoldLost,
          "the server has ended session " + std::to_string(state_.session_id)};
}

Result<api::Position> PostgresqlHold::check(Deadline deadline) {
  proven_ = false;
  if (released_) return lost(Error(ErrorCode::kHoldLost, "it is released already"));
  if (session_.hung_up()) {
    return lost(session_gone());
  }
  auto now = session_.state({.deadline = deadline});
  if (!now) return lost(std::move(now).error());
  const std::string changed = difference(state_, *now);
  if (!changed.empty()) return lost(Error(ErrorCode::kHoldLost, changed));
  proven_ = true;
  return position_at(*now);
}

Result<void> PostgresqlHold::extend(const api::Window& window, Deadline deadline) {
  if (!backup_) return {};
  backup_->window = window.id;
  return session_.bound_silence(window.max_hold, {.deadline = deadline});
}

Result<void> PostgresqlHold::release(Deadline deadline) {
  if (std::exchange(released_, true)) return {};
  const bool gone = !session_.usable() || session_.hung_up();
  if (gone) session_.close();
  // The end of a session ends its backup. That it was lost is check()'s to say, unless it has
  // already found it in order.
  if (!backup_ || (gone && !proven_)) return {};
  Result<void> kept = session_gone();
  if (!gone) {
    if (auto stop = session_.backup_stop({.deadline = deadline}); stop) {
      // The backup has ended: a session that fails now is one to replace, and nothing to report.
      if (!session_.unbound_silence({.deadline = deadline})) session_.close();
      kept = keep(*stop, deadline);
    } else {
      session_.close();
      kept = std::move(stop).error();
    }
  }
  if (kept) return {};
  return base::wrap(std::move(kept).error(),
                    "unable to keep the backup label of '" + resource_ + "'")
      .with_hint("the snapshot restores without it; only archived WAL can't be applied to it");
}

Result<void> PostgresqlHold::abandon(Deadline deadline) {
  // The server writes when a backup stops; when the session ends, it only gives it up.
  if (backup_ && !released_) {
    session_.close();
    backup_.reset();
  }
  return release(deadline);
}

Result<void> PostgresqlHold::keep(const BackupStop& stop, Deadline deadline) {
  report_.position = {{"backup-stop-lsn", stop.lsn}};
  if (!stop.wal_file.empty()) report_.position.emplace_back("backup-stop-wal-file", stop.wal_file);
  if (stop.label.size() + stop.tablespace_map.size() <= kReportedSize) {
    report_.files.emplace_back("backup_label", stop.label);
    if (!stop.tablespace_map.empty()) {
      report_.files.emplace_back("tablespace_map", stop.tablespace_map);
    }
  }
  const auto write = [backup = *backup_, stop] {
    return write_backup_files(backup.state_directory, backup.window, stop, backup.labels_kept);
  };
  if (auto written = keeper_.keep(write, deadline); !written) return written;
  report_.position.emplace_back("backup-files",
                                backup_directory(backup_->state_directory, backup_->window));
  return {};
}

}  // namespace holdfast::postgresql
