// SPDX-License-Identifier: MIT
#include "postgresql/postgresql_settings.h"

#include <array>

#include "base/file.h"
#include "postgresql/service_file.h"

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

constexpr std::array kTlsKeys{"sslmode", "sslrootcert", "sslcrl", "sslcert", "sslkey"};

// libpq uses no TLS on a unix socket, and what is not given it does not miss.
Result<void> check_tls(const base::Options& options) {
  const bool network = options.has("host") || (options.has("service") && !options.has("socket"));
  for (const char* key : kTlsKeys) {
    if (options.has(key) && !network) {
      return Error(ErrorCode::kConfiguration,
                   std::string("key '") + key + "' needs key 'host' or 'service'");
    }
  }
  if (options.has("sslcert") != options.has("sslkey")) {
    return Error(ErrorCode::kConfiguration, "keys 'sslcert' and 'sslkey' need each other");
  }
  if (options.has("sslmode") && options.text("sslmode").starts_with("verify") &&
      !options.has("sslrootcert") && !options.has("service")) {
    return Error(ErrorCode::kConfiguration,
                 "key 'sslmode' needs key 'sslrootcert' to verify the server with");
  }
  return {};
}

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
      {.name = "service",
       .help = "service of the connection service file: settings for all that is not given here"},
      {.name = "service-file",
       .type = OptionType::kPath,
       .default_value = kSystemServiceFile,
       .help = "connection service file; with a password in it, nobody but its owner may read it"},
      {.name = "password-file",
       .type = OptionType::kPath,
       .help = "password file in the format of pgpass; nobody but its owner may read it"},
      {.name = "sslmode",
       .type = OptionType::kChoice,
       .help = "as libpq's: is the connection encrypted, and is the server verified? (default: "
               "prefer, which verifies nothing)",
       .choices = {"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}},
      {.name = "sslrootcert",
       .type = OptionType::kPath,
       .help = "certificates of the authorities that the server is verified with"},
      {.name = "sslcrl", .type = OptionType::kPath, .help = "certificates that are revoked"},
      {.name = "sslcert", .type = OptionType::kPath, .help = "certificate of the client"},
      {.name = "sslkey",
       .type = OptionType::kPath,
       .help = "key of the client's certificate; libpq refuses one that others may read"},
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
      {.name = "labels-kept",
       .type = OptionType::kInteger,
       .default_value = "20",
       .help = "mode 'backup': of how many windows the label is kept",
       .least = 1,
       .most = 1000},
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
      std::erase_if(settings.connect, [&](const auto& pair) { return pair.first == keyword; });
      settings.connect.emplace_back(keyword, options.text(key));
    } else if (otherwise != nullptr && !service) {
      settings.connect.emplace_back(keyword, otherwise);
    }
  };
  if (service) {
    auto keywords = read_service(options.text("service-file"), options.text("service"));
    if (!keywords) {
      return base::wrap(std::move(keywords).error(), "unable to use key 'service'");
    }
    settings.connect = std::move(*keywords);
  } else if (options.text("service-file") != kSystemServiceFile) {
    return Error(ErrorCode::kConfiguration, "key 'service-file' needs key 'service'");
  }
  take("host", "host", nullptr);
  take("socket", "host", options.has("host") ? nullptr : kDefaultSocket);
  take("port", "port", nullptr);
  take("user", "user", kDefaultUser);
  take("dbname", "dbname", kDefaultDatabase);
  take("password-file", "passfile", nullptr);
  if (auto usable = check_tls(options); !usable) return std::move(usable).error();
  for (const char* key : kTlsKeys)
    take(key, key, nullptr);
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
  settings.labels_kept = static_cast<std::size_t>(options.integer("labels-kept"));
  settings.checkpoint_timeout = options.duration("checkpoint-timeout");
  return settings;
}

}  // namespace holdfast::postgresql
