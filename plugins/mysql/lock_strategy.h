// SPDX-License-Identifier: MIT
//
// One way of holding the writers of a server: an object per window, made for it by make_lock(). It
// begins as the plugin's, and becomes the Hold's as soon as it is taken.
//
//   prepare()  takes what stalls nobody
//   take()     takes what stalls writers ── evidence(), prove(), change() ── release()
//
// Whatever fails: the caller abandons the session (SessionPair::abandon), which drops every lock.
// A strategy borrows the lock session; the only SQL it sends is the session's named functions.
//
// Threads: the resource's worker.
#pragma once

#include <memory>
#include <string>

#include "mysql/lock_choice.h"
#include "mysql/mysql_session.h"

namespace holdfast::mysql {

class LockStrategy {
 public:
  explicit LockStrategy(MysqlSession& session) : session_(session) {}
  LockStrategy(const LockStrategy&) = delete;
  LockStrategy& operator=(const LockStrategy&) = delete;
  virtual ~LockStrategy() = default;

  [[nodiscard]] virtual LockKind kind() const = 0;

  [[nodiscard]] virtual base::Result<void> prepare(const Patience& patience) = 0;

  // After prepare(): would take() have to wait for such a statement, with writers queued up behind
  // it?
  [[nodiscard]] virtual bool waits_for(const StatementKind& statement) const = 0;
  // Is such a statement worth waiting for however young it is?
  [[nodiscard]] virtual bool waits_at_any_age(const StatementKind& statement) const = 0;

  [[nodiscard]] virtual base::Result<void> take(const Patience& patience) = 0;

  [[nodiscard]] virtual base::Result<Evidence> evidence(const Patience& patience) = 0;
  // The evidence anew, and what the server itself says of the lock beyond that the session lives.
  [[nodiscard]] virtual base::Result<Proof> prove(const Patience& patience) = 0;
  // What of two positions shows that somebody wrote who can't have under this lock: "gtid was … and
  // is …"; empty if nothing does.
  [[nodiscard]] virtual std::string contradiction(const api::Position& before,
                                                  const api::Position& after) const = 0;

  // Lets go of all that prepare() and take() took.
  [[nodiscard]] virtual base::Result<void> release(const Patience& patience) = 0;

 protected:
  [[nodiscard]] MysqlSession& session() const { return session_; }
  // prove() of Oracle's server: by MysqlSession::owns_metadata_lock(kind), unless there is no
  // `kind` to be seen. `otherwise`: what its denial is told as.
  [[nodiscard]] base::Result<Proof> prove_by_instrument(const char* kind, const char* otherwise,
                                                        const Patience& patience);

 private:
  MysqlSession& session_;
};

// `may_lock_instance`: MySQL from 8.0 on, and the account has BACKUP_ADMIN.
[[nodiscard]] std::unique_ptr<LockStrategy> make_lock(LockKind kind, MysqlSession& session,
                                                      bool may_lock_instance);

// The first of these keys whose values differ: "binlog-position was 913 and is 1044".
[[nodiscard]] std::string first_difference(const api::Position& before, const api::Position& after,
                                           std::initializer_list<const char*> keys);

}  // namespace holdfast::mysql
