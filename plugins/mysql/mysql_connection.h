// SPDX-License-Identifier: MIT
//
// One connection to a server, and statements on it that end by a deadline.
//
// A statement is sent, the socket is polled, and the answer is read once it is there: the way that
// works the same on both client libraries. A statement that isn't answered in time leaves the
// connection in an unknown state: it is then broken, and every later statement fails at once. It
// never reconnects by itself: a lock would silently be gone.
//
// It is the base of MysqlSession, which alone knows SQL.
//
// Threads: one owner thread; shut_down() from any.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/waker.h"
#include "mysql/client_library.h"
#include "mysql/mysql_settings.h"

namespace holdfast::mysql {

using Row = std::vector<std::optional<std::string>>;

struct Table {
  std::vector<std::string> columns;
  std::vector<Row> rows;

  // The value in a column of the first row; empty if there is none, or if it is NULL.
  [[nodiscard]] std::string first(const std::string& column) const;
  [[nodiscard]] std::string first(std::size_t column = 0) const;
};

// What came of several statements. Those after one that the server refused have not been run.
struct Answers {
  std::vector<Table> tables;
  std::optional<base::Error> refused;
};

// By when, and who may end it earlier. The clean-up after an interrupt has to run in spite of it:
// it is `deaf`, and its deadlines are short.
struct Patience {
  base::Deadline deadline;
  std::stop_token stop = {};
  bool deaf = false;
};

class MysqlConnection {
 public:
  // The waker is borrowed; it ends every wait of this connection.
  explicit MysqlConnection(base::Waker& waker) : waker_(waker) {}
  MysqlConnection(const MysqlConnection&) = delete;
  MysqlConnection& operator=(const MysqlConnection&) = delete;
  ~MysqlConnection() { close(); }

  [[nodiscard]] base::Result<void> open(const ConnectSettings& settings, const Patience& patience);
  // Open, and as far as is known in order.
  [[nodiscard]] bool usable() const { return handle_ != nullptr && !broken_; }
  // Has the other side closed it? Looks at the socket only.
  [[nodiscard]] bool hung_up() const;
  // For poll(2); -1 while closed.
  [[nodiscard]] int fd() const;

  // Takes leave of the server if the connection is in order, else just drops it.
  void close();
  // shutdown(2): what is going on fails, and the server ends the session when it sees that.
  void shut_down();

  // Waits until `until`, unless the patience ends first; then that is the error.
  [[nodiscard]] base::Result<void> pause(base::Deadline until, const Patience& patience);

 protected:
  [[nodiscard]] base::Result<Table> query(const std::string& statement, const Patience& patience);
  // Several statements in one round trip, run one after the other. An error only if the connection
  // is broken by it.
  [[nodiscard]] base::Result<Answers> query_all(const std::vector<std::string>& statements,
                                                const Patience& patience);
  // The server's number of the error that the last query() returned, or of the refusal in what
  // query_all() did; 0 if it was not the server's.
  [[nodiscard]] unsigned server_error() const { return server_error_; }

 private:
  [[nodiscard]] MYSQL* handle() const { return handle_.get(); }
  [[nodiscard]] base::Result<void> wait(int fd, short events, const Patience& patience);
  [[nodiscard]] base::Error break_with(base::Error error);
  // Sends it, and waits for the beginning of the answer.
  [[nodiscard]] base::Result<void> send(const std::string& statement, const Patience& patience);
  [[nodiscard]] base::Error failure();
  // Of a result that has begun.
  [[nodiscard]] base::Result<Table> read_table();

  base::Waker& waker_;
  MysqlHandle handle_;
  bool broken_ = false;
  unsigned server_error_ = 0;
  // Guards fd_ between shut_down() and the owner's close: the number could be somebody else's
  // descriptor a moment later.
  mutable std::mutex fd_mutex_;
  int fd_ = -1;
};

}  // namespace holdfast::mysql
