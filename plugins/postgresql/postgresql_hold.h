// SPDX-License-Identifier: MIT
//
// PostgreSQL across a window. There is no way to hold its writers: the frozen filesystem does that,
// and crash recovery makes the snapshot whole. What this object holds is the evidence that one and
// the same server was there all the time:
//  - the same session (backend pid on the connection that never reconnects, no hang-up),
//  - the same server (system identifier, postmaster start time, timeline, still primary or
//  standby),
//  - an LSN from before the freeze and one from after the thaw, as bounds: what was acknowledged
//    before the first is in the snapshot, what began after the second is not.
// A promotion within the window is a loss: what was to be a copy of a standby isn't one any more.
// In mode `backup` it also owns a non-exclusive backup, which ends with it.
//
// Borrows the plugin's session and keeper. Threads: the resource's worker.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "api/hold.h"
#include "postgresql/label_keeper.h"
#include "postgresql/postgresql_session.h"

namespace holdfast::postgresql {

// A backup that has been started in the session.
struct RunningBackup {
  std::string start_lsn;
  std::string window;
  std::string state_directory;
  std::size_t labels_kept = 0;
};

class PostgresqlHold final : public api::Hold {
 public:
  // `warning`: what there is to be known about this hold; empty if nothing.
  PostgresqlHold(PostgresqlSession& session, LabelKeeper& keeper, std::string resource,
                 ServerState state, std::optional<RunningBackup> backup, std::string warning);
  ~PostgresqlHold() override;

  [[nodiscard]] const api::Identity& identity() const override { return identity_; }
  [[nodiscard]] const api::Position& position() const override { return position_; }
  [[nodiscard]] api::Position details() const override;
  [[nodiscard]] std::vector<std::string> warnings() const override;
  [[nodiscard]] int watch_fd() const override { return session_.fd(); }
  [[nodiscard]] base::Result<api::Position> check(base::Deadline deadline) override;
  // The label is the new window's then.
  [[nodiscard]] base::Result<void> extend(const api::Window& window,
                                          base::Deadline deadline) override;
  [[nodiscard]] base::Result<void> release(base::Deadline deadline) override;
  // Without the label: what gave up the backup is no base of anything.
  [[nodiscard]] base::Result<void> abandon(base::Deadline deadline) override;
  [[nodiscard]] api::ReleaseReport release_report() const override { return report_; }

 private:
  [[nodiscard]] base::Error lost(base::Error cause) const;
  [[nodiscard]] base::Error session_gone() const;
  [[nodiscard]] api::Position position_at(const ServerState& state) const;
  [[nodiscard]] base::Result<void> keep(const BackupStop& stop, base::Deadline deadline);

  PostgresqlSession& session_;
  LabelKeeper& keeper_;
  std::string resource_;
  ServerState state_;
  std::optional<RunningBackup> backup_;
  std::string warning_;
  // Has the last check() succeeded?
  bool proven_ = false;
  bool released_ = false;
  api::Identity identity_;
  api::Position position_;
  api::ReleaseReport report_;
};

// "15.20 (Debian …)", and that it is a standby where it is one.
[[nodiscard]] std::string version_shown(const ServerFacts& facts, const ServerState& state);

// What of `before` is not so any more in `after`; empty if all is as it must be.
[[nodiscard]] std::string difference(const ServerState& before, const ServerState& after);

}  // namespace holdfast::postgresql
