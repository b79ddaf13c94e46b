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
#include "mysql/lock_choice.h"

namespace holdfast::mysql {

// How a TCP connection is encrypted. kAsItIs: as the option file has it, else as the client library
// does by itself.
enum class TlsMode { kAsItIs, kOff, kRequired, kVerifyCa, kVerifyIdentity };

struct TlsSettings {
  TlsMode mode = TlsMode::kAsItIs;
  std::string ca;
  std::string certificate;
  std::string key;
};

// Where and as whom to connect. An empty text is left to the option file, else to the library.
struct ConnectSettings {
  std::string socket;
  std::string host;
  unsigned port = 0;
  std::string user;
  base::Secret password;
  std::string option_file;
  std::string option_group;
  TlsSettings tls;

  // "/run/mysqld/mysqld.sock", "db.example:3306": for messages.
  [[nodiscard]] std::string target() const;
};

enum class LongStatementPolicy { kWait, kFail, kKillSelect, kKillAll };

// What is done about statements that the lock would have to wait for.
struct LongStatementSettings {
  LongStatementPolicy policy = LongStatementPolicy::kWait;
  base::Millis threshold{0};
  base::Millis wait{0};

  [[nodiscard]] bool kills() const {
    return policy == LongStatementPolicy::kKillSelect || policy == LongStatementPolicy::kKillAll;
  }
};

struct MysqlSettings {
  ConnectSettings connect;
  LockSetting lock = LockSetting::kFtwrl;
  base::Millis lock_timeout{0};
  LongStatementSettings long_statements;
};

[[nodiscard]] base::OptionTable mysql_option_table();

// kConfiguration for what does not make sense together, kPermission and kNotFound for files with
// credentials that are open to others or can't be read.
[[nodiscard]] base::Result<MysqlSettings> read_mysql_settings(const base::Options& options);

}  // namespace holdfast::mysql
