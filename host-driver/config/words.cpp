// SPDX-License-Identifier: MIT
#include "config/words.h"

namespace holdfast::host::config {

using base::Error;
using base::ErrorCode;
using base::Result;

Result<std::vector<std::string>> split_words(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  bool in_word = false;
  char quote = '\0';
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote != '\0' && c == quote) {
      quote = '\0';
    } else if (c == '\\' && quote != '\'') {
      if (++i == text.size())
        return Error(ErrorCode::kConfiguration, "nothing follows a backslash");
      word += text[i];
      in_word = true;
    } else if (quote != '\0') {
      word += c;
    } else if (c == '\'' || c == '"') {
      quote = c;
      in_word = true;
    } else if (c == ' ' || c == '\t') {
      if (in_word) words.push_back(std::move(word));
      word.clear();
      in_word = false;
    } else {
      word += c;
      in_word = true;
    }
  }
  if (quote != '\0') {
    return Error(ErrorCode::kConfiguration, std::string("the quote ") + quote + " is not closed");
  }
  if (in_word) words.push_back(std::move(word));
  return words;
}

}  // namespace holdfast::host::config
