// SPDX-License-Identifier: MIT
#include "mysql/mysql_settings.h"

#include <algorithm>

#include "base/file.h"
#include "base/text.h"

namespace holdfast::mysql {

namespace {

using base::Error;
using base::ErrorCode;
using base::OptionType;
using base::Result;

constexpr std::size_t kPasswordLimit = 4096;
constexpr const char* kDefaultSocket = "/run/mysqld/mysqld.sock";
constexpr const char* kDefaultUser = "holdfast";

std::string text_or_empty(const base::Options& options, const char* name) {
  return options.has(name) ? options.text(name) : std::string();
}

Error unusable(const char* key, Error cause) {
  return base::wrap(std::move(cause), std::string("unable to use key '") + key + "'");
}

Result<std::string> read_private(const char* key, const std::string& path) {
  if (auto guarded = base::require_private(path); !guarded) {
    return unusable(key, std::move(guarded).error());
  }
  auto content = base::read_file(path, kPasswordLimit * 16);
  if (!content) return unusable(key, std::move(content).error());
  return content;
}

Result<void> check_combination(const base::Options& options) {
  if (options.has("socket") && options.has("host")) {
    return Error(ErrorCode::kConfiguration, "keys 'socket' and 'host' exclude each other");
  }
  if (options.has("port") && !options.has("host")) {
    return Error(ErrorCode::kConfiguration, "key 'port' needs key 'host'");
  }
  if (options.has("option-group") && !options.has("option-file")) {
    return Error(ErrorCode::kConfiguration, "key 'option-group' needs key 'option-file'");
  }
  if (options.has("password-file") && options.has("option-file")) {
    return Error(ErrorCode::kConfiguration,
                 "keys 'password-file' and 'option-file' exclude each other");
  }
  return {};
}

}  // namespace

std::string ConnectSettings::target() const {
  if (!socket.empty()) return socket;
  if (!host.empty()) return port == 0 ? host : host + ":" + std::to_string(port);
  return option_file;
}

base::OptionTable mysql_option_table() {
  return {
      {.name = "socket",
       .type = OptionType::kPath,
       .help = "unix socket of the server (default: /run/mysqld/mysqld.sock, unless 'host' or "
               "'option-file' is given)"},
      {.name = "host", .help = "name or address of the server, for TCP"},
      {.name = "port",
       .type = OptionType::kInteger,
       .help = "TCP port (default: the library's, 3306)",
       .least = 1,
       .most = 65535},
      {.name = "user", .help = "account (default: holdfast, unless 'option-file' is given)"},
      {.name = "password-file",
       .type = OptionType::kPath,
       .help = "file whose first line is the password; nobody but its owner may read it"},
      {.name = "option-file",
       .type = OptionType::kPath,
       .help = "client option file; nobody but its owner may read it"},
      {.name = "option-group", .help = "group of the option file, read after [client]"},
      {.name = "lock",
       .type = OptionType::kChoice,
       .default_value = "ftwrl",
       .help = "how writers are held: FLUSH TABLES WITH READ LOCK",
       .choices = {"ftwrl"}},
      {.name = "lock-timeout",
       .type = OptionType::kDuration,
       .default_value = "2s",
       .help = "how long the lock may take, and so stall writers, before the freeze is given up",
       .least = 50,
       .most = 60000},
      {.name = "long-statement-threshold",
       .type = OptionType::kDuration,
       .default_value = "1s",
       .help = "a statement that has run this long is waited for before the lock is asked for",
       .least = 100,
       .most = 3600000},
      {.name = "long-statement-wait",
       .type = OptionType::kDuration,
       .default_value = "5s",
       .help = "how long such statements are waited for before the freeze is given up",
       .least = 0,
       .most = 120000},
  };
}

Result<MysqlSettings> read_mysql_settings(const base::Options& options) {
  if (auto sensible = check_combination(options); !sensible) return std::move(sensible).error();
  MysqlSettings settings;
  ConnectSettings& connect = settings.connect;
  connect.socket = text_or_empty(options, "socket");
  connect.host = text_or_empty(options, "host");
  connect.user = text_or_empty(options, "user");
  if (options.has("port")) connect.port = static_cast<unsigned>(options.integer("port"));
  if (options.has("option-file")) {
    connect.option_file = options.text("option-file");
    // The libraries skip a file that isn't there or that they don't like, without an error.
    if (auto readable = read_private("option-file", connect.option_file); !readable) {
      return std::move(readable).error();
    }
    connect.option_group =
        options.has("option-group") ? options.text("option-group") : std::string("holdfast");
  } else {
    if (connect.host.empty() && connect.socket.empty()) connect.socket = kDefaultSocket;
    if (connect.user.empty()) connect.user = kDefaultUser;
  }
  if (options.has("password-file")) {
    auto content = read_private("password-file", options.text("password-file"));
    if (!content) return std::move(content).error();
    content->resize(std::min(content->find('\n'), content->size()));
    connect.password = base::Secret(std::move(*content));
    if (connect.password.empty()) {
      return unusable("password-file", Error(ErrorCode::kConfiguration, "its first line is empty"));
    }
  }
  settings.lock_timeout = options.duration("lock-timeout");
  settings.long_statement_threshold = options.duration("long-statement-threshold");
  settings.long_statement_wait = options.duration("long-statement-wait");
  return settings;
}

}  // namespace holdfast::mysql
