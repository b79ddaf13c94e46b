// SPDX-License-Identifier: MIT
//
// A lock that a session owns, and the proof that it never let go.
//
// How check() proves it, all on the very connection that took the lock:
//  - The lock belongs to the session (MDL of its THD), and a session can't lose it but by a
//    statement that only release() sends, or by ending. It never reconnects, so a session that
//    still answers with the same CONNECTION_ID() is the one that took the lock. A connection can't
//    outlive its server, so a server that was restarted can't answer on it.
//  - Its socket shows no hang-up.
//  - What the server itself says of the lock: LockStrategy::prove().
//  - Binary log position and GTID, read again under the lock, don't contradict it:
//    LockStrategy::contradiction(). (FLUSH BINARY LOGS of somebody else isn't blocked by any lock
//    and moves the position: that counts as lost where writers are held.)
//
// Borrows the plugin's sessions. Threads: the resource's worker.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "api/hold.h"
#include "mysql/lock_strategy.h"
#include "mysql/session_pair.h"

namespace holdfast::mysql {

class MysqlHold final : public api::Hold {
 public:
  // The lock is taken; what it covers starts to be this object's to release.
  MysqlHold(SessionPair& sessions, std::string resource, std::unique_ptr<LockStrategy> lock,
            std::string reason);
  ~MysqlHold() override;

  // Flushes and reads the position under the lock. To be called once, before anything else.
  [[nodiscard]] base::Result<void> establish(const Patience& patience);

  [[nodiscard]] const api::Identity& identity() const override { return identity_; }
  [[nodiscard]] const api::Position& position() const override { return evidence_.position; }
  [[nodiscard]] api::Position details() const override;
  [[nodiscard]] std::vector<std::string> warnings() const override { return warnings_; }
  void warn(std::string warning) { warnings_.push_back(std::move(warning)); }
  [[nodiscard]] int watch_fd() const override { return sessions_.lock().fd(); }
  [[nodiscard]] base::Result<api::Position> check(base::Deadline deadline) override;
  [[nodiscard]] base::Result<void> release(base::Deadline deadline) override;

 private:
  [[nodiscard]] base::Error lost(base::Error cause) const;
  [[nodiscard]] base::Result<Evidence> prove_session(const Patience& patience);

  SessionPair& sessions_;
  std::string resource_;
  std::unique_ptr<LockStrategy> lock_;
  std::string reason_;
  std::vector<std::string> warnings_;
  bool released_ = false;
  api::Identity identity_;
  Evidence evidence_;
};

}  // namespace holdfast::mysql
