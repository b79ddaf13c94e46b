// SPDX-License-Identifier: MIT
//
// The settings of one MySQL resource: the table of its keys, and their checked values.
//
// Threads: plain values, made on the main thread before any session exists.
#pragma once

#include <string>

#include "base/clock.h"
#include "base/options.h"
#include "base/secret.h"

namespace holdfast::mysql {

// Where and as whom to connect. An empty text is left to the option file, else to the library.
struct ConnectSettings {
  std::string socket;
  std::string host;
  unsigned port = 0;
  std::string user;
  base::Secret password;
  std::string option_file;
  std::string option_group;

  // "/run/mysqld/mysqld.sock", "db.example:3306": for messages.
  [[nodiscard]] std::string target() const;
};

struct MysqlSettings {
  ConnectSettings connect;
  base::Millis lock_timeout{0};
  base::Millis long_statement_threshold{0};
  base::Millis long_statement_wait{0};
};

[[nodiscard]] base::OptionTable mysql_option_table();

// kConfiguration for what does not make sense together, kPermission and kNotFound for files with
// credentials that are open to others or can't be read.
[[nodiscard]] base::Result<MysqlSettings> read_mysql_settings(const base::Options& options);

}  // namespace holdfast::mysql
