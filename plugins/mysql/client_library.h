// SPDX-License-Identifier: MIT
//
// The one place that knows which client library this is built with: MariaDB's Connector/C or
// Oracle's libmysqlclient. Both are reached through <mysql.h>; the differences stay in
// client_library.cpp. Nothing else of the plugin has an #if about it.
//
// Threads: a handle belongs to the thread that uses it, one at a time.
#pragma once

#include <mysql.h>

#include <functional>
#include <memory>
#include <stop_token>

#include "base/clock.h"
#include "base/result.h"
#include "base/waker.h"
#include "mysql/mysql_settings.h"

namespace holdfast::mysql {

struct MysqlCloser {
  void operator()(MYSQL* handle) const { mysql_close(handle); }
};
using MysqlHandle = std::unique_ptr<MYSQL, MysqlCloser>;

struct MysqlResultFreer {
  void operator()(MYSQL_RES* result) const { mysql_free_result(result); }
};
using MysqlResult = std::unique_ptr<MYSQL_RES, MysqlResultFreer>;

// A connected handle. With MariaDB's library the deadline and the stop token hold for every step of
// it. Oracle's blocks inside the call, and the deadline is rounded up to whole seconds there: its
// asynchronous connect leaves the handle in a mode that its synchronous calls don't work in.
[[nodiscard]] base::Result<MysqlHandle> connect(const ConnectSettings& settings,
                                                base::Deadline deadline,
                                                const std::stop_token& stop, base::Waker& waker);

// Waits for these events of poll(2) on the handle's socket; an error ends the wait.
using AwaitSocket = std::function<base::Result<void>(short events)>;

// Of several statements that were sent as one: goes on to the result of the next, as
// mysql_next_result() does. With MariaDB's library `await` bounds it, with Oracle's nothing does.
[[nodiscard]] base::Result<int> next_result(MYSQL* handle, const AwaitSocket& await);

// The library's description of a failure: "Access denied for user … (1045)".
[[nodiscard]] base::Error error_of(MYSQL* handle);

// Did the server say it, so that the session goes on? Otherwise the connection is gone or in an
// unknown state.
[[nodiscard]] bool is_server_error(unsigned number);

}  // namespace holdfast::mysql
