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

StatementKind kind_of(std::string_view statement) {
  const std::string text = lower(without_preamble(statement));
  const auto begins_with = [&](const auto& words) {
    return std::any_of(words.begin(), words.end(),
                       [&](std::string_view word) { return text.starts_with(word); });
  };
  constexpr std::array<std::string_view, 4> kReads{"select", "show", "explain", "describe"};
  constexpr std::array<std::string_view, 8> kChanges{"alter",  "create",   "drop",    "rename",
                                                     "repair", "truncate", "analyze", "optimize"};
  const bool locks = text.find("for update") != std::string::npos ||
                     text.find("for share") != std::string::npos ||
                     text.find("share mode") != std::string::npos;
  StatementKind kind;
  kind.reads_only = begins_with(kReads) && !locks;
  kind.selects = kind.reads_only && text.starts_with("select");
  kind.changes_schema = begins_with(kChanges);
  return kind;
}

bool delays_read_lock(const ServerVersion& version, const StatementKind& statement) {
  if (version.flavour != Flavour::kMariadb || !version.at_least(10, 5)) return true;
  return !statement.reads_only;
}

namespace {

std::string seconds_of(base::Millis span) {
  return std::to_string(span.count() / 1000) + "." + std::to_string(span.count() % 1000 / 100) +
         " s";
}

std::string user_of(const RunningStatement& statement) {
  return "user '" + base::printable(statement.user, 80) + "'";
}

}  // namespace

std::string description_of(const RunningStatement& statement) {
  return "session " + std::to_string(statement.session) + " of " + user_of(statement) +
         " has been running a statement for " + seconds_of(statement.age);
}

std::string epitaph_of(const RunningStatement& statement) {
  return "killed a statement of " + user_of(statement) + " (session " +
         std::to_string(statement.session) + ") after " + seconds_of(statement.age);
}

}  // namespace holdfast::mysql
