// SPDX-License-Identifier: MIT
#include "postgresql/postgresql_settings.h"

#include "base/file.h"

namespace holdfast::postgresql {

namespace {

using base::Error;
using base::ErrorCode;
using base::OptionType;
using base::Result;

constexpr std::size_t kPasswordFileLimit = std::size_t{64} << 10U;
constexpr const char* kDefaultSocket = "/run/postgresql";
constexpr const char* kDefaultUser = "holdfast";
constexpr const char* kDefaultDatabase = "postgres";

// libpq passes over a password file that it can't use, with a word on stderr.
Result<void> check_password_file(const std::string& path) {
  auto usable = base::require_private(path);
  if (usable) {
    auto content = base::read_file(path, kPasswordFileLimit);
    if (content) return {};
    usable = std::move(content).error();
  }
  return base::wrap(std::move(usable).error(), "unable to use key 'password-file'");
}

}  // namespace

base::OptionTable postgresql_option_table() {
  return {
      {.name = "socket",
       .type = OptionType::kPath,
       .help = "directory of the server's unix socket (default: /run/postgresql, unless 'host' or "
               "'service' is given)"},
      {.name = "host", .help = "name or address of the server, for TCP"},
      {.name = "port",
       .type = OptionType::kInteger,
       .help = "port of the server, on unix sockets too (default: 5432)",
       .least = 1,
       .most = 65535},
      {.name = "user", .help = "role (default: holdfast, unless 'service' is given)"},
      {.name = "dbname",
       .help = "database to connect to (default: postgres, unless 'service' is given)"},
      {.name = "service", .help = "service of libpq's connection service file"},
      {.name = "password-file",
       .type = OptionType::kPath,
       .help = "password file in the format of pgpass; nobody but its owner may read it"},
      {.name = "mode",
       .type = OptionType::kChoice,
       .default_value = "checkpoint",
       .help = "a checkpoint before the freeze, or a backup session held to the thaw",
       .choices = {"checkpoint", "backup"}},
      {.name = "checkpoint-timeout",
       .type = OptionType::kDuration,
       .default_value = "10s",
       .help = "how long the checkpoint may take before the freeze goes on without it",
       .least = 100,
       .most = 600000},
  };
}

Result<PostgresqlSettings> read_postgresql_settings(const base::Options& options) {
  if (options.has("socket") && options.has("host")) {
    return Error(ErrorCode::kConfiguration, "keys 'socket' and 'host' exclude each other");
  }
  PostgresqlSettings settings;
  const bool service = options.has("service");
  const auto take = [&](const char* key, const char* keyword, const char* otherwise) {
    if (options.has(key)) {
      settings.connect.emplace_back(keyword, options.text(key));
    } else if (otherwise != nullptr && !service) {
      settings.connect.emplace_back(keyword, otherwise);
    }
  };
  take("service", "service", nullptr);
  take("host", "host", nullptr);
  take("socket", "host", options.has("host") ? nullptr : kDefaultSocket);
  take("port", "port", nullptr);
  take("user", "user", kDefaultUser);
  take("dbname", "dbname", kDefaultDatabase);
  take("password-file", "passfile", nullptr);
  if (options.has("password-file")) {
    if (auto usable = check_password_file(options.text("password-file")); !usable) {
      return std::move(usable).error();
    }
  }
  settings.target = options.has("host")     ? options.text("host")
                    : options.has("socket") ? options.text("socket")
                    : service               ? options.text("service")
                                            : kDefaultSocket;
  if (options.has("port")) settings.target += ":" + options.text("port");
  settings.mode = options.text("mode") == "backup" ? Mode::kBackup : Mode::kCheckpoint;
  settings.checkpoint_timeout = options.duration("checkpoint-timeout");
  return settings;
}

}  // namespace holdfast::postgresql
