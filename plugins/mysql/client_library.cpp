// SPDX-License-Identifier: MIT
#include "mysql/client_library.h"

#include <poll.h>

#include <algorithm>
#include <string>
#include <utility>

#include "base/text.h"

namespace holdfast::mysql {

namespace {

using base::Error;
using base::ErrorCode;
using base::Result;

// CR_SSL_CONNECTION_ERROR of both.
constexpr unsigned kTlsError = 2026;
// How long a read may take once its first byte is there. Answers are small and come in one piece.
constexpr unsigned kReadTimeoutSeconds = 2;

// Server error numbers that callers or administrators tell apart (mysqld_error.h, the same on
// both).
ErrorCode code_for(unsigned number) {
  switch (number) {
    case 1044:  // access to the database denied
    case 1045:  // access denied
    case 1095:  // somebody else's session can't be killed
    case 1142:  // statement denied on the table
    case 1227:  // needs a privilege
    case 1698:  // access denied by the authentication plugin
      return ErrorCode::kPermission;
    case 1205:  // lock_wait_timeout
    case 1969:  // max_statement_time
    case 3024:  // max_execution_time
      return ErrorCode::kTimedOut;
    case 1317:  // KILL QUERY
      return ErrorCode::kCancelled;
    case 1040:  // too many connections
      return ErrorCode::kBusy;
    case 1064:  // syntax
    case 1193:  // unknown system variable
    case 1235:  // not supported yet
      return ErrorCode::kUnsupported;
    default:
      return is_server_error(number) ? ErrorCode::kRefused : ErrorCode::kUnreachable;
  }
}

const char* or_null(const std::string& text) {
  return text.empty() ? nullptr : text.c_str();
}

unsigned whole_seconds(base::Deadline deadline) {
  return std::max(1U, static_cast<unsigned>((deadline.remaining().count() + 999) / 1000));
}

void set_common_options(MYSQL* handle, const ConnectSettings& settings, base::Deadline deadline) {
  const unsigned connect_timeout = whole_seconds(deadline);
  const unsigned read_timeout = kReadTimeoutSeconds;
  // A server could else ask for any file that we may read (LOAD DATA LOCAL).
  const unsigned local_infile = 0;
  mysql_options(handle, MYSQL_OPT_CONNECT_TIMEOUT, &connect_timeout);
  mysql_options(handle, MYSQL_OPT_READ_TIMEOUT, &read_timeout);
  mysql_options(handle, MYSQL_OPT_WRITE_TIMEOUT, &read_timeout);
  mysql_options(handle, MYSQL_OPT_LOCAL_INFILE, &local_infile);
  mysql_options(handle, MYSQL_SET_CHARSET_NAME, "utf8mb4");
  // Both libraries take the host 'localhost' for a unix socket otherwise.
  const unsigned tcp = MYSQL_PROTOCOL_TCP;
  if (!settings.host.empty()) mysql_options(handle, MYSQL_OPT_PROTOCOL, &tcp);
  if (!settings.option_file.empty()) {
    mysql_options(handle, MYSQL_READ_DEFAULT_FILE, settings.option_file.c_str());
    mysql_options(handle, MYSQL_READ_DEFAULT_GROUP, settings.option_group.c_str());
  }
}

void set_tls_files(MYSQL* handle, const TlsSettings& tls) {
  const auto set = [&](mysql_option option, const std::string& path) {
    if (!path.empty()) mysql_options(handle, option, path.c_str());
  };
  set(MYSQL_OPT_SSL_CA, tls.ca);
  set(MYSQL_OPT_SSL_CERT, tls.certificate);
  set(MYSQL_OPT_SSL_KEY, tls.key);
}

#ifdef MARIADB_PACKAGE_VERSION_ID

void set_tls(MYSQL* handle, const TlsSettings& tls) {
  if (tls.mode == TlsMode::kAsItIs) return;
  set_tls_files(handle, tls);
  // The library has two switches: whether there is encryption, and whether the certificate must be
  // good and name the host.
  const my_bool enforce = tls.mode == TlsMode::kOff ? 0 : 1;
  const my_bool verify = tls.mode == TlsMode::kVerifyIdentity ? 1 : 0;
  mysql_options(handle, MYSQL_OPT_SSL_ENFORCE, &enforce);
  mysql_options(handle, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
}

short poll_events(int wanted) {
  int events = 0;
  if ((wanted & MYSQL_WAIT_READ) != 0) events |= POLLIN;
  if ((wanted & MYSQL_WAIT_WRITE) != 0) events |= POLLOUT;
  if ((wanted & MYSQL_WAIT_EXCEPT) != 0) events |= POLLPRI;
  return static_cast<short>(events);
}

Result<bool> connect_handle(MYSQL* handle, const ConnectSettings& settings, base::Deadline deadline,
                            const std::stop_token& stop, base::Waker& waker) {
  mysql_options(handle, MYSQL_OPT_NONBLOCK, nullptr);
  MYSQL* connected = nullptr;
  int wanted = mysql_real_connect_start(
      &connected, handle, or_null(settings.host), or_null(settings.user),
      settings.password.empty() ? nullptr : settings.password.reveal(), nullptr, settings.port,
      or_null(settings.socket), CLIENT_MULTI_STATEMENTS);
  while (wanted != 0) {
    auto ready = waker.wait(mysql_get_socket(handle), poll_events(wanted), deadline, stop);
    // The handle may be closed in the middle: the library drops its suspended call then.
    if (!ready) return std::move(ready).error();
    wanted = mysql_real_connect_cont(&connected, handle, wanted & ~MYSQL_WAIT_TIMEOUT);
  }
  return connected != nullptr;
}

Result<int> await_next_result(MYSQL* handle, const AwaitSocket& await) {
  int outcome = 0;
  int wanted = mysql_next_result_start(&outcome, handle);
  while (wanted != 0) {
    if (auto ready = await(poll_events(wanted)); !ready) return std::move(ready).error();
    wanted = mysql_next_result_cont(&outcome, handle, wanted & ~MYSQL_WAIT_TIMEOUT);
  }
  return outcome;
}

#else

void set_tls(MYSQL* handle, const TlsSettings& tls) {
  unsigned mode = SSL_MODE_DISABLED;
  switch (tls.mode) {
    case TlsMode::kAsItIs:
      return;
    case TlsMode::kOff:
      break;
    case TlsMode::kRequired:
      mode = SSL_MODE_REQUIRED;
      break;
    case TlsMode::kVerifyCa:
      mode = SSL_MODE_VERIFY_CA;
      break;
    case TlsMode::kVerifyIdentity:
      mode = SSL_MODE_VERIFY_IDENTITY;
      break;
  }
  set_tls_files(handle, tls);
  mysql_options(handle, MYSQL_OPT_SSL_MODE, &mode);
}

Result<bool> connect_handle(MYSQL* handle, const ConnectSettings& settings, base::Deadline,
                            const std::stop_token& stop, base::Waker& waker) {
  if (stop.stop_requested() || waker.interrupted()) {
    return Error(ErrorCode::kCancelled, "cancelled");
  }
  return mysql_real_connect(handle, or_null(settings.host), or_null(settings.user),
                            settings.password.empty() ? nullptr : settings.password.reveal(),
                            nullptr, settings.port, or_null(settings.socket),
                            CLIENT_MULTI_STATEMENTS) != nullptr;
}

Result<int> await_next_result(MYSQL* handle, const AwaitSocket&) {
  return mysql_next_result(handle);
}

#endif

}  // namespace

Result<int> next_result(MYSQL* handle, const AwaitSocket& await) {
  return await_next_result(handle, await);
}

Result<MysqlHandle> connect(const ConnectSettings& settings, base::Deadline deadline,
                            const std::stop_token& stop, base::Waker& waker) {
  MysqlHandle handle(mysql_init(nullptr));
  if (handle == nullptr) return Error(ErrorCode::kInternal, "out of memory");
  set_common_options(handle.get(), settings, deadline);
  set_tls(handle.get(), settings.tls);
  auto connected = connect_handle(handle.get(), settings, deadline, stop, waker);
  if (!connected) return std::move(connected).error();
  if (!*connected) return error_of(handle.get());
  // Connector/C goes on without encryption, in silence, where the server has none.
  const bool must = settings.tls.mode != TlsMode::kAsItIs && settings.tls.mode != TlsMode::kOff;
  if (must && mysql_get_ssl_cipher(handle.get()) == nullptr) {
    return Error(ErrorCode::kUnreachable, "the server does not encrypt the connection")
        .with_hint("set up the server's certificate, or tls = off");
  }
  return handle;
}

Error error_of(MYSQL* handle) {
  const unsigned number = mysql_errno(handle);
  Error error(code_for(number),
              base::printable(mysql_error(handle)) + " (" + std::to_string(number) + ")");
  if (number != kTlsError) return error;
  return std::move(error).with_hint(
      "see tls, tls-ca and tls-cert, and which certificate the server shows");
}

bool is_server_error(unsigned number) {
  // 2000 to 2999 are the client's on both, 5000 to 5999 are Connector/C's own (errmsg.h). What the
  // server says as it ends a session is as good as a lost connection: 1053 (shutdown in progress),
  // 1927 (connection killed, MariaDB), 4031 (idle for too long, MySQL).
  const bool client = (number >= 2000 && number <= 2999) || (number >= 5000 && number <= 5999);
  return number != 0 && !client && number != 1053 && number != 1927 && number != 4031;
}

}  // namespace holdfast::mysql
