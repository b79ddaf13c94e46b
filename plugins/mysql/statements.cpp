// SPDX-License-Identifier: MIT
#include "mysql/statements.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/text.h"

namespace holdfast::mysql {

namespace {

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

// Blanks, opening parentheses and comments before the first word.
std::string_view without_preamble(std::string_view text) {
  for (;;) {
    const std::size_t start = text.find_first_not_of(" \t\r\n(");
    if (start == std::string_view::npos) return {};
    text.remove_prefix(start);
    std::size_t end = std::string_view::npos;
    if (text.starts_with("/*") && !text.starts_with("/*!") && !text.starts_with("/*M!")) {
      end = text.find("*/");
      if (end != std::string_view::npos) end += 2;
    } else if (text.starts_with("--") || text.starts_with('#')) {
      end = text.find('\n');
    } else {
      return text;
    }
    if (end == std::string_view::npos) return {};
    text.remove_prefix(end);
  }
}

}  // namespace

bool delays_lock(const ServerVersion& version, std::string_view statement) {
  if (version.flavour != Flavour::kMariadb || !version.at_least(10, 5)) return true;
  const std::string text = lower(without_preamble(statement));
  constexpr std::array<std::string_view, 4> kReads{"select", "show", "explain", "describe"};
  const bool reads = std::any_of(kReads.begin(), kReads.end(),
                                 [&](std::string_view word) { return text.starts_with(word); });
  return !reads || text.find("for update") != std::string::npos ||
         text.find("share mode") != std::string::npos;
}

std::string description_of(const RunningStatement& statement) {
  return "session " + std::to_string(statement.session) + " of user '" +
         base::printable(statement.user, 80) + "' has been running a statement for " +
         std::to_string(statement.age.count() / 1000) + "." +
         std::to_string(statement.age.count() % 1000 / 100) + " s";
}

}  // namespace holdfast::mysql
