// SPDX-License-Identifier: MIT
//
// One connection to a server through libpq's asynchronous calls, so that every step of connecting
// and of a statement ends by a deadline.
//
// A statement that is not answered in time leaves its answer outstanding: the connection can't be
// used until drain() has taken it, after somebody has had the server cancel it; else close it. It
// never reconnects by itself.
//
// It is the base of PostgresqlSession, which alone knows SQL.
//
// Threads: one owner thread; shut_down() from any. Looking up a host's name, where a name is given,
// blocks inside libpq.
#pragma once

#include <libpq-fe.h>

#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/waker.h"

namespace holdfast::postgresql {

struct PgCloser {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};
struct PgFreer {
  void operator()(PGresult* result) const { PQclear(result); }
};
using PgConnection = std::unique_ptr<PGconn, PgCloser>;
using PgResult = std::unique_ptr<PGresult, PgFreer>;

using Keywords = std::vector<std::pair<std::string, std::string>>;

// By when, and who may end it earlier. The clean-up after an interrupt has to run in spite of it:
// it is `deaf`, and its deadlines are short.
struct Patience {
  base::Deadline deadline;
  std::stop_token stop = {};
  bool deaf = false;
};

class PostgresqlConnection {
 public:
  // The waker is borrowed; it ends every wait of this connection.
  explicit PostgresqlConnection(base::Waker& waker) : waker_(waker) {}
  PostgresqlConnection(const PostgresqlConnection&) = delete;
  PostgresqlConnection& operator=(const PostgresqlConnection&) = delete;
  ~PostgresqlConnection() { close(); }

  [[nodiscard]] base::Result<void> open(const Keywords& keywords, const Patience& patience);
  // Open, as far as is known in order, and with no answer outstanding.
  [[nodiscard]] bool usable() const { return connection_ != nullptr && !broken_ && !pending_; }
  // Is an answer outstanding on a connection that is else in order?
  [[nodiscard]] bool pending() const { return connection_ != nullptr && !broken_ && pending_; }
  // Has the other side closed it? Looks at the socket only: libpq's own status says "OK" still
  // after the first read at the end of the stream (measured).
  [[nodiscard]] bool hung_up() const;
  // For poll(2); -1 while closed.
  [[nodiscard]] int fd() const;

  void close();
  // shutdown(2): what is going on fails, and the server ends the session when it sees that.
  void shut_down();

 protected:
  // One statement, with $1, $2 … taken from `parameters`.
  [[nodiscard]] base::Result<PgResult> query(const std::string& statement, const Patience& patience,
                                             const std::vector<std::string>& parameters = {});
  // Takes the outstanding answer and throws it away.
  [[nodiscard]] base::Result<void> drain(const Patience& patience);
  [[nodiscard]] PGconn* handle() const { return connection_.get(); }
  // SQLSTATE of the error that the last query() returned; empty if it was not the server's.
  [[nodiscard]] const std::string& sql_state() const { return sql_state_; }

 private:
  [[nodiscard]] base::Result<void> wait(short events, const Patience& patience);
  [[nodiscard]] base::Result<void> finish_connecting(const Patience& patience);
  [[nodiscard]] base::Result<PgResult> read_answer(const Patience& patience);
  [[nodiscard]] base::Error connection_error();
  [[nodiscard]] base::Error server_error(const PGresult* result);

  base::Waker& waker_;
  PgConnection connection_;
  bool broken_ = false;
  bool pending_ = false;
  std::string sql_state_;
  // Guards fd_ between shut_down() and the owner's close: the number could be somebody else's
  // descriptor a moment later.
  mutable std::mutex fd_mutex_;
  int fd_ = -1;
};

}  // namespace holdfast::postgresql
