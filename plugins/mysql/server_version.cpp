// SPDX-License-Identifier: MIT
#include "mysql/server_version.h"

#include <charconv>

namespace holdfast::mysql {

namespace {

// Takes a number, and the '.' after it, off the front.
unsigned take_number(std::string_view& text) {
  unsigned number = 0;
  const auto [rest, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (problem != std::errc{}) return 0;
  text.remove_prefix(static_cast<std::size_t>(rest - text.data()));
  if (text.starts_with('.')) text.remove_prefix(1);
  return number;
}

}  // namespace

ServerVersion parse_version(std::string_view text) {
  // What MariaDB 10 and later put in front for old replicas (MDEV-4088).
  constexpr std::string_view kReplicationPrefix = "5.5.5-";
  ServerVersion version;
  if (text.find("MariaDB") != std::string_view::npos) {
    version.flavour = Flavour::kMariadb;
    if (text.starts_with(kReplicationPrefix)) text.remove_prefix(kReplicationPrefix.size());
  }
  version.major = take_number(text);
  version.minor = take_number(text);
  version.patch = take_number(text);
  return version;
}

std::string name_of(Flavour flavour) {
  return flavour == Flavour::kMariadb ? "MariaDB" : "MySQL";
}

}  // namespace holdfast::mysql
