// SPDX-License-Identifier: MIT
#include "postgresql/service_file.h"

#include <sstream>

#include "base/file.h"
#include "base/text.h"

namespace holdfast::postgresql {

namespace {

using base::Error;
using base::ErrorCode;
using base::Result;

constexpr std::size_t kServiceFileLimit = std::size_t{256} << 10U;

Error bad_line(const std::string& path, std::size_t number, const std::string& problem) {
  return {ErrorCode::kConfiguration,
          base::printable(path) + ":" + std::to_string(number) + ": " + problem};
}

}  // namespace

Result<std::vector<std::pair<std::string, std::string>>> read_service(const std::string& path,
                                                                      const std::string& service) {
  auto content = base::read_file(path, kServiceFileLimit);
  if (!content) return std::move(content).error();
  std::vector<std::pair<std::string, std::string>> keywords;
  std::istringstream lines(*content);
  std::size_t number = 0;
  bool found = false;
  bool within = false;
  for (std::string raw; std::getline(lines, raw);) {
    ++number;
    const std::string_view line = base::trimmed(raw);
    if (line.empty() || line.front() == '#') continue;
    if (line.front() == '[') {
      // libpq takes the first service of a name, and so do we.
      within = !found && line == "[" + service + "]";
      found = found || within;
      continue;
    }
    if (!within) continue;
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos) return bad_line(path, number, "a '=' is missing");
    const std::string key(base::trimmed(line.substr(0, equals)));
    if (key == "service" || key == "servicefile" || key.starts_with("ldap:")) {
      return bad_line(path, number, "'" + base::printable(key, 80) + "' can't be used here");
    }
    if (key == "password") {
      if (auto usable = base::require_private(path); !usable) return std::move(usable).error();
    }
    keywords.emplace_back(key, base::trimmed(line.substr(equals + 1)));
  }
  if (found) return keywords;
  return Error(ErrorCode::kNotFound, "there is no service '" + base::printable(service, 80) +
                                         "' in '" + base::printable(path) + "'");
}

}  // namespace holdfast::postgresql
