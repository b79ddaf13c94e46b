// SPDX-License-Identifier: MIT
#include "mysql/mysql_connection.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

namespace holdfast::mysql {

using base::Error;
using base::ErrorCode;
using base::Result;

std::string Table::first(std::size_t column) const {
  if (rows.empty() || column >= rows.front().size()) return {};
  return rows.front()[column].value_or(std::string());
}

std::string Table::first(const std::string& column) const {
  const auto found = std::find(columns.begin(), columns.end(), column);
  if (found == columns.end()) return {};
  return first(static_cast<std::size_t>(found - columns.begin()));
}

Result<void> MysqlConnection::open(const ConnectSettings& settings, const Patience& patience) {
  close();
  auto handle = connect(settings, patience.deadline, patience.stop, waker_);
  if (!handle) return std::move(handle).error();
  handle_ = std::move(*handle);
  broken_ = false;
  const std::lock_guard lock(fd_mutex_);
  fd_ = static_cast<int>(handle_->net.fd);
  return {};
}

int MysqlConnection::fd() const {
  const std::lock_guard lock(fd_mutex_);
  return fd_;
}

bool MysqlConnection::hung_up() const {
  pollfd watched{fd(), POLLRDHUP, 0};
  return ::poll(&watched, 1, 0) > 0 && (watched.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

void MysqlConnection::close() {
  if (handle_ == nullptr) return;
  // After shutdown(), mysql_close() returns at once even with a statement outstanding.
  if (broken_) shut_down();
  {
    const std::lock_guard lock(fd_mutex_);
    fd_ = -1;
  }
  handle_.reset();
}

void MysqlConnection::shut_down() {
  const std::lock_guard lock(fd_mutex_);
  if (fd_ >= 0) (void)::shutdown(fd_, SHUT_RDWR);
}

Result<void> MysqlConnection::wait(int fd, short events, const Patience& patience) {
  if (!patience.deaf) return waker_.wait(fd, events, patience.deadline, patience.stop);
  base::Waker unheard;
  return unheard.wait(fd, events, patience.deadline, {});
}

Error MysqlConnection::break_with(Error error) {
  broken_ = true;
  return error;
}

Result<void> MysqlConnection::send(const std::string& statement, const Patience& patience) {
  server_error_ = 0;
  if (!usable()) return Error(ErrorCode::kUnreachable, "the session is closed");
  const auto start = std::chrono::steady_clock::now();
  if (mysql_send_query(handle(), statement.data(), statement.size()) != 0) {
    return break_with(error_of(handle()));
  }
  if (auto ready = wait(fd(), POLLIN, patience); !ready) {
    if (ready.error().code() != ErrorCode::kTimedOut) return break_with(std::move(ready).error());
    const auto waited = std::chrono::round<base::Millis>(std::chrono::steady_clock::now() - start);
    return break_with(
        Error(ErrorCode::kTimedOut, "timed out after " + std::to_string(waited.count()) + " ms"));
  }
  return {};
}

Result<Table> MysqlConnection::query(const std::string& statement, const Patience& patience) {
  if (auto sent = send(statement, patience); !sent) return std::move(sent).error();
  if (mysql_read_query_result(handle()) != 0) return failure();
  return read_table();
}

Result<Answers> MysqlConnection::query_all(const std::vector<std::string>& statements,
                                           const Patience& patience) {
  std::string joined;
  for (const std::string& statement : statements)
    joined += (joined.empty() ? "" : ";") + statement;
  if (auto sent = send(joined, patience); !sent) return std::move(sent).error();
  const auto await = [&](short events) { return wait(fd(), events, patience); };
  Answers answers;
  Result<int> next = mysql_read_query_result(handle());
  for (; next && *next == 0; next = next_result(handle(), await)) {
    auto table = read_table();
    if (!table && !usable()) return std::move(table).error();
    if (!table) break;
    answers.tables.push_back(std::move(*table));
  }
  if (!next) return break_with(std::move(next).error());
  // -1: there is no further result. As many as were asked for, or nobody knows whose they are.
  if (*next < 0 && answers.tables.size() == statements.size()) return answers;
  if (*next < 0) {
    return break_with(
        Error(ErrorCode::kProtocol, "the server gave " + std::to_string(answers.tables.size()) +
                                        " of " + std::to_string(statements.size()) + " answers"));
  }
  answers.refused = failure();
  if (!usable()) return std::move(*answers.refused);
  return answers;
}

Result<void> MysqlConnection::pause(base::Deadline until, const Patience& patience) {
  auto ended = wait(-1, 0, {until.earlier_of(patience.deadline), patience.stop, patience.deaf});
  if (ended.error().code() == ErrorCode::kTimedOut && !patience.deadline.passed()) return {};
  return ended;
}

Error MysqlConnection::failure() {
  const unsigned number = mysql_errno(handle());
  if (!is_server_error(number)) return break_with(error_of(handle()));
  server_error_ = number;
  return error_of(handle());
}

Result<Table> MysqlConnection::read_table() {
  const MysqlResult result(mysql_store_result(handle()));
  Table table;
  if (result == nullptr) {
    if (mysql_field_count(handle()) != 0) return failure();
    return table;
  }
  const unsigned width = mysql_num_fields(result.get());
  const MYSQL_FIELD* fields = mysql_fetch_fields(result.get());
  for (unsigned i = 0; i < width; ++i)
    table.columns.emplace_back(fields[i].name);
  while (MYSQL_ROW values = mysql_fetch_row(result.get())) {
    const unsigned long* lengths = mysql_fetch_lengths(result.get());
    Row row;
    for (unsigned i = 0; i < width; ++i) {
      row.push_back(values[i] == nullptr ? std::nullopt
                                         : std::make_optional<std::string>(values[i], lengths[i]));
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

}  // namespace holdfast::mysql
