// SPDX-License-Identifier: MIT
#include "mysql/mysql_settings.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/text.h"

namespace holdfast::mysql {

namespace {

using base::Error;
using base::ErrorCode;
using base::OptionType;
using base::Result;

constexpr std::size_t kPasswordLimit = 4096;
// All authorities that Debian trusts are 220 kB.
constexpr std::size_t kCertificateLimit = std::size_t{8} << 20U;
constexpr const char* kDefaultSocket = "/run/mysqld/mysqld.sock";
constexpr const char* kDefaultUser = "holdfast";

// The value that stands at the place of the chosen word in the table's list of choices.
template <typename Value, std::size_t kSize>
Value chosen(const base::Options& options, const char* name,
             const std::array<std::pair<const char*, Value>, kSize>& words) {
  const std::string text = options.text(name);
  const auto found = std::find_if(words.begin(), words.end(),
                                  [&](const auto& word) { return text == word.first; });
  return found == words.end() ? words.front().second : found->second;
}

constexpr std::array<std::pair<const char*, LockSetting>, 4> kLocks{
    {{"ftwrl", LockSetting::kFtwrl},
     {"backup-stage", LockSetting::kBackupStage},
     {"instance", LockSetting::kInstance},
     {"auto", LockSetting::kAuto}}};
constexpr std::array<std::pair<const char*, LongStatementPolicy>, 4> kPolicies{
    {{"wait", LongStatementPolicy::kWait},
     {"fail", LongStatementPolicy::kFail},
     {"kill-select", LongStatementPolicy::kKillSelect},
     {"kill-all", LongStatementPolicy::kKillAll}}};
constexpr std::array<std::pair<const char*, TlsMode>, 4> kTlsModes{
    {{"off", TlsMode::kOff},
     {"required", TlsMode::kRequired},
     {"verify-ca", TlsMode::kVerifyCa},
     {"verify-identity", TlsMode::kVerifyIdentity}}};

template <typename Value, std::size_t kSize>
std::vector<std::string> words_of(const std::array<std::pair<const char*, Value>, kSize>& words) {
  std::vector<std::string> names;
  names.reserve(words.size());
  for (const auto& word : words)
    names.emplace_back(word.first);
  return names;
}

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

// Over a unix socket there is nobody in between.
Result<void> check_tls(const base::Options& options) {
  if (options.has("tls") && !options.has("host") && !options.has("option-file")) {
    return Error(ErrorCode::kConfiguration, "key 'tls' needs key 'host' or 'option-file'");
  }
  for (const char* key : {"tls-ca", "tls-cert", "tls-key"}) {
    if (options.has(key) && (!options.has("tls") || options.text("tls") == "off")) {
      return Error(ErrorCode::kConfiguration,
                   std::string("key '") + key + "' needs key 'tls', and not 'off'");
    }
  }
  if (options.has("tls-cert") != options.has("tls-key")) {
    return Error(ErrorCode::kConfiguration, "keys 'tls-cert' and 'tls-key' need each other");
  }
  if (options.has("tls") && options.text("tls").starts_with("verify") && !options.has("tls-ca")) {
    return Error(ErrorCode::kConfiguration,
                 "key 'tls' needs key 'tls-ca' to verify the server with")
        .with_hint("the authorities that Debian knows are in /etc/ssl/certs/ca-certificates.crt");
  }
  return {};
}

Result<void> read_tls(const base::Options& options, TlsSettings& tls) {
  if (auto sensible = check_tls(options); !sensible) return sensible;
  if (!options.has("tls")) return {};
  tls.mode = chosen(options, "tls", kTlsModes);
  tls.ca = text_or_empty(options, "tls-ca");
  tls.certificate = text_or_empty(options, "tls-cert");
  tls.key = text_or_empty(options, "tls-key");
  // The libraries' own words for a file that isn't there don't name it.
  for (const auto& [key, path] : {std::pair{"tls-ca", tls.ca}, {"tls-cert", tls.certificate}}) {
    if (path.empty()) continue;
    if (auto content = base::read_file(path, kCertificateLimit); !content) {
      return unusable(key, std::move(content).error());
    }
  }
  if (tls.key.empty()) return {};
  auto key = read_private("tls-key", tls.key);
  return key ? Result<void>() : std::move(key).error();
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
      {.name = "tls",
       .type = OptionType::kChoice,
       .help = "encryption of a TCP connection, and what is asked of the server's certificate",
       .choices = words_of(kTlsModes)},
      {.name = "tls-ca",
       .type = OptionType::kPath,
       .help = "file with the certificates of the authorities that may sign the server's"},
      {.name = "tls-cert",
       .type = OptionType::kPath,
       .help = "file with the certificate that this client shows"},
      {.name = "tls-key",
       .type = OptionType::kPath,
       .help = "file with its private key; nobody but its owner may read it"},
      {.name = "lock",
       .type = OptionType::kChoice,
       .default_value = "ftwrl",
       .help = "how writers are held",
       .choices = words_of(kLocks)},
      {.name = "lock-timeout",
       .type = OptionType::kDuration,
       .default_value = "2s",
       .help = "how long the lock may take, and so stall writers, before the freeze is given up",
       .least = 50,
       .most = 60000},
      {.name = "long-statement-policy",
       .type = OptionType::kChoice,
       .default_value = "wait",
       .help = "what is done about a statement that the lock would have to wait for",
       .choices = words_of(kPolicies)},
      {.name = "long-statement-threshold",
       .type = OptionType::kDuration,
       .default_value = "1s",
       .help = "a statement that has run this long is waited for before the lock is asked for",
       .least = 100,
       .most = 3600000},
      {.name = "long-statement-wait",
       .type = OptionType::kDuration,
       .default_value = "5s",
       .help = "how long such statements are waited for before they are killed or the freeze is "
               "given up",
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
  if (auto tls = read_tls(options, connect.tls); !tls) return std::move(tls).error();
  settings.lock = chosen(options, "lock", kLocks);
  settings.lock_timeout = options.duration("lock-timeout");
  settings.long_statements = {chosen(options, "long-statement-policy", kPolicies),
                              options.duration("long-statement-threshold"),
                              options.duration("long-statement-wait")};
  return settings;
}

}  // namespace holdfast::mysql
