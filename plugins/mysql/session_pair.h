// SPDX-License-Identifier: MIT
//
// The two sessions of a resource, connected together before any lock: `lock` owns the lock,
// `control` can end that session when it doesn't answer. Either both are open or neither.
//
// Threads: the resource's worker; interrupt() from any.
#pragma once

#include "base/waker.h"
#include "mysql/mysql_session.h"

namespace holdfast::mysql {

class SessionPair {
 public:
  SessionPair() : lock_(waker_), control_(waker_) {}

  [[nodiscard]] MysqlSession& lock() { return lock_; }
  [[nodiscard]] MysqlSession& control() { return control_; }
  [[nodiscard]] const MysqlSession& lock() const { return lock_; }

  // Opens both, or asks both whether they still answer, and opens them anew if one does not.
  [[nodiscard]] base::Result<void> ensure(const ConnectSettings& settings,
                                          const Patience& patience);
  [[nodiscard]] bool usable() const { return lock_.usable() && control_.usable(); }

  // Makes sure that nothing stays locked, whatever state the lock session is in, and closes both:
  // UNLOCK TABLES or BACKUP STAGE END if it answers, else KILL through the control session, else
  // shutdown(2). Takes 150 ms at most, interrupted or not.
  //
  // Needed after every failure of FTWRL: on MySQL one that reports error 1205 may hold the lock all
  // the same (measured on 5.7 to 9.7), and one that is pending doesn't notice a closed connection.
  void abandon();
  void close();

  // Ends what is going on in either session. The lock session is shut down, so that the server
  // releases its lock; the control session stays connected for the KILL in abandon().
  void interrupt();

 private:
  base::Waker waker_;
  MysqlSession lock_;
  MysqlSession control_;
};

}  // namespace holdfast::mysql
