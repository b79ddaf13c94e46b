// SPDX-License-Identifier: MIT
#include "definition/command_line.h"

#include "base/json_codec.h"

namespace holdfast::host::definition {

std::string_view option_of(std::string_view word) {
  if (word.starts_with("--")) word.remove_prefix(1);
  return word.starts_with('-') && word.size() > 1 ? word : std::string_view();
}

std::vector<std::string_view> pieces_of(std::string_view value) {
  std::vector<std::string_view> pieces;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < value.size(); ++at) {
    if (value[at] != ',') continue;
    if (at + 1 < value.size() && value[at + 1] == ',') {
      ++at;
      continue;
    }
    pieces.push_back(value.substr(begin, at - begin));
    begin = at + 1;
  }
  pieces.push_back(value.substr(begin));
  return pieces;
}

std::string without_doubled_commas(std::string_view text) {
  std::string single;
  for (std::size_t at = 0; at < text.size(); ++at) {
    single += text[at];
    if (text[at] == ',' && at + 1 < text.size() && text[at + 1] == ',') ++at;
  }
  return single;
}

std::string with_doubled_commas(std::string_view text) {
  std::string doubled;
  for (const char c : text) {
    doubled += c;
    if (c == ',') doubled += c;
  }
  return doubled;
}

std::optional<std::string> key_in(std::string_view value, std::string_view key) {
  if (value.starts_with('{')) {
    const auto json = base::parse_json(value);
    if (!json) return std::nullopt;
    auto text = base::string_member(*json, key);
    if (!text) return std::nullopt;
    return std::move(*text);
  }
  for (const std::string_view piece : pieces_of(value)) {
    const std::size_t equals = piece.find('=');
    if (equals == std::string_view::npos || piece.substr(0, equals) != key) continue;
    return without_doubled_commas(piece.substr(equals + 1));
  }
  return std::nullopt;
}

std::vector<std::string> values_of(const Words& words, std::string_view option) {
  std::vector<std::string> values;
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    if (option_of(words[i]) == option) values.push_back(words[i + 1]);
  }
  return values;
}

}  // namespace holdfast::host::definition
