// SPDX-License-Identifier: MIT
//
// A global read lock (FTWRL) that a session owns, and the proof that it never let go.
//
// How check() proves it, all on the very connection that took the lock:
//  - The lock belongs to the session (MDL of its THD), and a session can't lose it but by UNLOCK
//    TABLES, which only release() sends, or by ending. It never reconnects, so a session that still
//    answers with the same CONNECTION_ID() is the one that took the lock.
//    A connection can't outlive its server, so a server that was restarted can't answer on it.
//  - Its socket shows no hang-up.
//  - MariaDB says so itself: BACKUP STAGE START is refused with error 1223 in a session that owns
//    the global read lock, and in no other.
//  - Binary log position and GTID, read again under the lock, are what they were. (FLUSH BINARY
//    LOGS of somebody else isn't blocked by the lock and moves the position: that counts as lost.)
//
// Borrows the plugin's sessions. Threads: the resource's worker.
#pragma once

#include <string>

#include "api/hold.h"
#include "mysql/session_pair.h"

namespace holdfast::mysql {

class MysqlHold final : public api::Hold {
 public:
  // The lock is taken; what it covers starts to be this object's to release.
  MysqlHold(SessionPair& sessions, std::string resource, bool instance_locked);
  ~MysqlHold() override;

  // Reads the position under the lock. To be called once, before anything else.
  [[nodiscard]] base::Result<void> establish(const Patience& patience);

  [[nodiscard]] const api::Identity& identity() const override { return identity_; }
  [[nodiscard]] const api::Position& position() const override { return evidence_.position; }
  [[nodiscard]] int watch_fd() const override { return sessions_.lock().fd(); }
  [[nodiscard]] base::Result<api::Position> check(base::Deadline deadline) override;
  [[nodiscard]] base::Result<void> release(base::Deadline deadline) override;

 private:
  [[nodiscard]] base::Error lost(base::Error cause) const;
  [[nodiscard]] base::Result<Evidence> prove_session(const Patience& patience);

  SessionPair& sessions_;
  std::string resource_;
  bool instance_locked_;
  bool released_ = false;
  api::Identity identity_;
  Evidence evidence_;
};

}  // namespace holdfast::mysql
