// SPDX-License-Identifier: MIT
#include "redis/redis_settings.h"

#include <algorithm>

#include "base/file.h"

namespace holdfast::redis {

namespace {

using base::Error;
using base::ErrorCode;
using base::OptionType;
using base::Result;

constexpr std::size_t kPasswordFileLimit = std::size_t{64} << 10U;
constexpr const char* kDefaultHost = "127.0.0.1";
constexpr const char* kDefaultPort = "6379";

Result<base::Secret> read_password(const std::string& path) {
  const auto unusable = [](Error cause) {
    return base::wrap(std::move(cause), "unable to use key 'password-file'");
  };
  if (auto guarded = base::require_private(path); !guarded) {
    return unusable(std::move(guarded).error());
  }
  auto content = base::read_file(path, kPasswordFileLimit);
  if (!content) return unusable(std::move(content).error());
  content->resize(std::min(content->find('\n'), content->size()));
  if (content->empty()) {
    return unusable(Error(ErrorCode::kConfiguration, "its first line is empty"));
  }
  return base::Secret(std::move(*content));
}

}  // namespace

base::OptionTable redis_option_table() {
  return {
      {.name = "socket",
       .type = OptionType::kPath,
       .help = "unix socket of the server (default: none, TCP is used)"},
      {.name = "host",
       .help = "name or address of the server, for TCP (default: 127.0.0.1, unless 'socket' is "
               "given)"},
      {.name = "port",
       .type = OptionType::kInteger,
       .help = "TCP port (default: 6379)",
       .least = 1,
       .most = 65535},
      {.name = "user", .help = "ACL user (default: none, the server's default user)"},
      {.name = "password-file",
       .type = OptionType::kPath,
       .help = "file whose first line is the password; nobody but its owner may read it"},
      {.name = "save",
       .type = OptionType::kChoice,
       .default_value = "before",
       .help = "when a server without an append-only file saves: before writers are held, while "
               "they are, or not at all",
       .choices = {"before", "held", "no"}},
      {.name = "save-timeout",
       .type = OptionType::kDuration,
       .default_value = "10s",
       .help = "how long such a save may take before the freeze is given up",
       .least = 100,
       .most = 3600000},
      {.name = "settle-timeout",
       .type = OptionType::kDuration,
       .default_value = "2s",
       .help =
           "how long the append-only file may take to be written while writers are held, before "
           "the freeze is given up",
       .least = 50,
       .most = 60000},
  };
}

Result<RedisSettings> read_redis_settings(const base::Options& options) {
  if (options.has("socket") && (options.has("host") || options.has("port"))) {
    return Error(ErrorCode::kConfiguration,
                 "keys 'socket' and 'host' or 'port' exclude each other");
  }
  RedisSettings settings;
  Endpoint& endpoint = settings.connect.endpoint;
  if (options.has("socket")) {
    endpoint.socket = options.text("socket");
  } else {
    endpoint.host = options.has("host") ? options.text("host") : kDefaultHost;
    endpoint.port = options.has("port") ? options.text("port") : kDefaultPort;
  }
  if (options.has("user")) settings.connect.user = options.text("user");
  if (options.has("password-file")) {
    auto password = read_password(options.text("password-file"));
    if (!password) return std::move(password).error();
    settings.connect.password = std::move(*password);
  }
  const std::string save = options.text("save");
  settings.save = save == "before" ? Save::kBefore : save == "held" ? Save::kHeld : Save::kNo;
  settings.save_timeout = options.duration("save-timeout");
  settings.settle_timeout = options.duration("settle-timeout");
  return settings;
}

}  // namespace holdfast::redis
