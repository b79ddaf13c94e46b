// SPDX-License-Identifier: MIT
//
// Statements of other sessions that FLUSH TABLES WITH READ LOCK would have to wait for, while every
// writer already queues behind it. They are waited out beforehand, when nobody stalls yet.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "mysql/server_version.h"

namespace holdfast::mysql {

// One statement of the process list. Its text is not kept: it may hold personal data, and what is
// said about it ends up in records and on the host.
struct RunningStatement {
  std::uint64_t session = 0;
  std::string user;
  base::Millis age{0};
};

// Would FTWRL wait for this statement? On MySQL for every one, as it waits for all tables in use;
// MariaDB from 10.5 on does not wait for plain reads (measured; older ones were not).
// What the text does not give away (a function that writes) is left to lock-timeout.
[[nodiscard]] bool delays_lock(const ServerVersion& version, std::string_view statement);

// "session 12 of user 'app' has been running a statement for 17.2 s"
[[nodiscard]] std::string description_of(const RunningStatement& statement);

}  // namespace holdfast::mysql
