// SPDX-License-Identifier: MIT
#include "postgresql/postgresql_connection.h"

#include <poll.h>
#include <sys/socket.h>

#include <string_view>
#include <utility>

#include "base/text.h"

namespace holdfast::postgresql {

namespace {

using base::Error;
using base::ErrorCode;
using base::Result;

// libpq's messages have several lines; the first one says what, the others guess why.
std::string first_line(const char* text) {
  std::string_view line(text);
  line = line.substr(0, line.find('\n'));
  return base::printable(base::trimmed(line));
}

// A refusal at connection time comes without an SQLSTATE in libpq: only its words tell a wrong
// password from a server that is starting up. Where the server speaks another language, the code is
// less exact, and the message still right.
ErrorCode code_for_connection(std::string_view message) {
  for (const char* word : {"authentication", "password", "role ", "pg_hba", "permission"}) {
    if (message.find(word) != std::string_view::npos) return ErrorCode::kPermission;
  }
  return ErrorCode::kUnreachable;
}

// https://www.postgresql.org/docs/current/errcodes-appendix.html
ErrorCode code_for_state(std::string_view state) {
  if (state == "42501" || state.starts_with("28")) return ErrorCode::kPermission;
  if (state == "57014") return ErrorCode::kCancelled;
  if (state.starts_with("57P") || state.starts_with("08")) return ErrorCode::kUnreachable;
  if (state == "42883" || state == "42704") return ErrorCode::kUnsupported;
  if (state.starts_with("53")) return ErrorCode::kBusy;
  return ErrorCode::kRefused;
}

}  // namespace

Result<void> PostgresqlConnection::wait(short events, const Patience& patience) {
  const int socket = PQsocket(handle());
  if (!patience.deaf) return waker_.wait(socket, events, patience.deadline, patience.stop);
  base::Waker unheard;
  return unheard.wait(socket, events, patience.deadline, {});
}

Result<void> PostgresqlConnection::open(const Keywords& keywords, const Patience& patience) {
  close();
  std::vector<const char*> names;
  std::vector<const char*> values;
  for (const auto& [name, value] : keywords) {
    names.push_back(name.c_str());
    values.push_back(value.c_str());
  }
  names.push_back(nullptr);
  values.push_back(nullptr);
  connection_.reset(PQconnectStartParams(names.data(), values.data(), 0));
  broken_ = false;
  pending_ = false;
  if (connection_ == nullptr) return Error(ErrorCode::kInternal, "out of memory");
  // What the server has to say besides would else go to our stderr.
  PQsetNoticeProcessor(
      handle(), [](void*, const char*) {}, nullptr);
  auto connected = finish_connecting(patience);
  if (!connected) {
    close();
    return connected;
  }
  PQsetnonblocking(handle(), 1);
  const std::lock_guard lock(fd_mutex_);
  fd_ = PQsocket(handle());
  return {};
}

Result<void> PostgresqlConnection::finish_connecting(const Patience& patience) {
  if (PQstatus(handle()) == CONNECTION_BAD) return connection_error();
  short events = POLLOUT;  // as libpq wants it before the first PQconnectPoll()
  for (;;) {
    if (auto ready = wait(events, patience); !ready) return ready;
    switch (PQconnectPoll(handle())) {
      case PGRES_POLLING_OK:
        return {};
      case PGRES_POLLING_READING:
        events = POLLIN;
        break;
      case PGRES_POLLING_WRITING:
        events = POLLOUT;
        break;
      case PGRES_POLLING_FAILED:
      case PGRES_POLLING_ACTIVE:
        return connection_error();
    }
  }
}

Error PostgresqlConnection::connection_error() {
  const std::string message = first_line(PQerrorMessage(handle()));
  return {code_for_connection(message), message};
}

Error PostgresqlConnection::server_error(const PGresult* result) {
  const auto field = [&](int name) -> std::string {
    const char* text = PQresultErrorField(result, name);
    return text == nullptr ? std::string() : first_line(text);
  };
  sql_state_ = field(PG_DIAG_SQLSTATE);
  const std::string severity = field(PG_DIAG_SEVERITY_NONLOCALIZED);
  if (sql_state_.empty() || severity == "FATAL" || severity == "PANIC") {
    broken_ = true;
  }
  if (sql_state_.empty())
    return {ErrorCode::kUnreachable, first_line(PQresultErrorMessage(result))};
  return Error(code_for_state(sql_state_), field(PG_DIAG_MESSAGE_PRIMARY) + " (" + sql_state_ + ")")
      .with_hint(field(PG_DIAG_MESSAGE_HINT));
}

int PostgresqlConnection::fd() const {
  const std::lock_guard lock(fd_mutex_);
  return fd_;
}

bool PostgresqlConnection::hung_up() const {
  pollfd watched{fd(), POLLRDHUP, 0};
  return ::poll(&watched, 1, 0) > 0 && (watched.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

void PostgresqlConnection::close() {
  if (connection_ == nullptr) return;
  if (!usable()) shut_down();
  {
    const std::lock_guard lock(fd_mutex_);
    fd_ = -1;
  }
  connection_.reset();
}

void PostgresqlConnection::shut_down() {
  const std::lock_guard lock(fd_mutex_);
  if (fd_ >= 0) (void)::shutdown(fd_, SHUT_RDWR);
}

Result<PgResult> PostgresqlConnection::query(const std::string& statement, const Patience& patience,
                                             const std::vector<std::string>& parameters) {
  sql_state_.clear();
  if (!usable()) return Error(ErrorCode::kUnreachable, "the session is closed");
  std::vector<const char*> values;
  values.reserve(parameters.size());
  for (const std::string& parameter : parameters)
    values.push_back(parameter.c_str());
  if (PQsendQueryParams(handle(), statement.c_str(), static_cast<int>(values.size()), nullptr,
                        values.data(), nullptr, nullptr, 0) != 1) {
    broken_ = true;
    return connection_error();
  }
  const auto start = std::chrono::steady_clock::now();
  pending_ = true;
  auto answer = read_answer(patience);
  if (answer || !pending_ || answer.error().code() != ErrorCode::kTimedOut) return answer;
  const auto waited = std::chrono::round<base::Millis>(std::chrono::steady_clock::now() - start);
  return Error(ErrorCode::kTimedOut, "timed out after " + std::to_string(waited.count()) + " ms");
}

Result<PgResult> PostgresqlConnection::read_answer(const Patience& patience) {
  PgResult answer;
  for (;;) {
    int unsent = PQflush(handle());
    while (unsent == 1 || (unsent == 0 && PQisBusy(handle()) == 1)) {
      const auto events = static_cast<short>(unsent == 1 ? POLLIN | POLLOUT : POLLIN);
      if (auto ready = wait(events, patience); !ready) return std::move(ready).error();
      if (PQconsumeInput(handle()) != 1) {
        broken_ = true;
        return connection_error();
      }
      if (unsent == 1) unsent = PQflush(handle());
    }
    if (unsent < 0) {
      broken_ = true;
      return connection_error();
    }
    PgResult next(PQgetResult(handle()));
    if (next == nullptr) break;
    // Of several results the first error counts, else the last one.
    const bool failed = answer != nullptr && PQresultStatus(answer.get()) == PGRES_FATAL_ERROR;
    if (!failed) answer = std::move(next);
  }
  pending_ = false;
  if (answer == nullptr) {
    broken_ = true;
    return connection_error();
  }
  const ExecStatusType status = PQresultStatus(answer.get());
  if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) return answer;
  return server_error(answer.get());
}

Result<void> PostgresqlConnection::drain(const Patience& patience) {
  if (!pending()) return {};
  auto answer = read_answer(patience);
  if (pending_ || broken_) return std::move(answer).error();
  return {};
}

}  // namespace holdfast::postgresql
