// SPDX-License-Identifier: MIT
//
// Statements of other sessions that a lock would have to wait for, while every writer already
// queues behind it. They are waited out beforehand, when nobody stalls yet (long_statements.h).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "mysql/server_version.h"

namespace holdfast::mysql {

// What can be told of a statement from its text. What the text does not give away (a function that
// writes) is left to lock-timeout.
struct StatementKind {
  bool reads_only = false;  // SELECT without a lock, SHOW, EXPLAIN, DESCRIBE
  bool selects = false;     // SELECT without a lock
  bool changes_schema = false;
};

[[nodiscard]] StatementKind kind_of(std::string_view statement);

// One statement of the process list. Its text is not kept: it may hold personal data, and what is
// said about it ends up in records and on the host.
struct RunningStatement {
  std::uint64_t session = 0;
  std::string user;
  base::Millis age{0};
  StatementKind kind;
  // Of a client; not of an event of the event scheduler, which is never killed.
  bool of_client = true;
  // MariaDB's number of the very statement; 0 on MySQL.
  std::uint64_t query = 0;
};

// Would FLUSH TABLES WITH READ LOCK wait for it? On MySQL for every one, as it waits for all tables
// in use; MariaDB from 10.5 on does not wait for plain reads (measured; older ones were not).
[[nodiscard]] bool delays_read_lock(const ServerVersion& version, const StatementKind& statement);

// "session 12 of user 'app' has been running a statement for 17.2 s"
[[nodiscard]] std::string description_of(const RunningStatement& statement);
// "killed a statement of user 'app' (session 12) after 17.2 s"
[[nodiscard]] std::string epitaph_of(const RunningStatement& statement);

}  // namespace holdfast::mysql
