// SPDX-License-Identifier: MIT
#include "notify/encoding.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <vector>

namespace holdfast::host::notify {

namespace {

constexpr std::size_t kLine = 76;
// RFC 5322, 2.1.1.
constexpr std::size_t kLongestPlainLine = 78;
// With "=?utf-8?B?" and "?=" around them 64 characters: the first word fits behind "Subject: ".
constexpr std::size_t kBytesOfAWord = 39;

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

bool continues_a_character(char c) {
  return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U;
}

std::string base64(std::string_view bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const std::string_view group = bytes.substr(at, 3);
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < 3; ++i)
      bits = bits << 8U | (i < group.size() ? static_cast<unsigned char>(group[i]) : 0U);
    for (std::size_t i = 0; i < 4; ++i) {
      const std::uint32_t digit = bits >> (18 - 6 * i) & 63U;
      text += i <= group.size() ? kDigits[digit] : '=';
    }
  }
  return text;
}

// No character is cut in two: each word is decoded on its own.
std::vector<std::string> encoded_words(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    std::size_t length = std::min(kBytesOfAWord, text.size());
    while (length < text.size() && continues_a_character(text[length]))
      --length;
    words.push_back("=?utf-8?B?" + base64(text.substr(0, length)) + "?=");
    text.remove_prefix(length);
  }
  return words;
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    if (end > 0) words.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

// RFC 2045, 6.7, of one line without its end.
std::string encoded_line(std::string_view line) {
  std::string text;
  std::size_t column = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const auto byte = static_cast<unsigned char>(line[i]);
    const bool last = i + 1 == line.size();
    const bool blank_at_end = last && (byte == ' ' || byte == '\t');
    // An mbox takes it for the next mail.
    const bool from_line = i == 0 && line.starts_with("From ");
    std::array<char, 4> escaped{};
    std::string piece(1, line[i]);
    if (byte < 0x20 || byte > 0x7E || byte == '=' || blank_at_end || from_line) {
      std::snprintf(escaped.data(), escaped.size(), "=%02X", byte);
      piece = escaped.data();
    }
    // One column is for the '=' that goes on.
    if (column + piece.size() > kLine - (last ? 0 : 1)) {
      text += "=\n";
      column = 0;
    }
    text += piece;
    column += piece.size();
  }
  return text;
}

template <typename Take>
void for_each_line(std::string_view body, Take take) {
  while (!body.empty()) {
    const std::size_t end = std::min(body.find('\n'), body.size());
    take(body.substr(0, end));
    body.remove_prefix(std::min(end + 1, body.size()));
  }
}

}  // namespace

std::string header_value(std::string_view name, std::string_view text) {
  std::vector<std::string> words = words_of(text);
  const bool plain = is_ascii(text) && text.find("=?") == std::string_view::npos &&
                     std::all_of(words.begin(), words.end(), [&](const std::string& word) {
                       return word.size() + name.size() + 2 < kLine;
                     });
  if (!plain) words = encoded_words(text);
  std::string value;
  std::size_t column = name.size() + 2;
  for (const std::string& word : words) {
    if (!value.empty()) {
      const bool fits = column + 1 + word.size() <= kLine;
      value += fits ? " " : "\n ";
      column = fits ? column + 1 : 1;
    } else if (column + word.size() > kLine) {
      value += "\n ";
      column = 1;
    }
    value += word;
    column += word.size();
  }
  return value;
}

std::string quoted_printable(std::string_view body) {
  std::string text;
  for_each_line(body, [&](std::string_view line) { text += encoded_line(line) + "\n"; });
  return text;
}

bool is_plain(std::string_view body) {
  bool plain = is_ascii(body);
  for_each_line(body, [&](std::string_view line) {
    plain = plain && line.size() <= kLongestPlainLine && !line.starts_with("From ");
  });
  return plain;
}

std::string wrapped(std::string_view text, std::size_t indent) {
  const std::string blanks(indent, ' ');
  std::string lines;
  std::size_t column = 0;
  for (const std::string& word : words_of(text)) {
    const auto width = static_cast<std::size_t>(
        std::count_if(word.begin(), word.end(), [](char c) { return !continues_a_character(c); }));
    if (column == 0) {
      lines += blanks;
      column = indent;
    } else if (column + 1 + width > kLine) {
      lines += "\n" + blanks;
      column = indent;
    } else {
      lines += ' ';
      ++column;
    }
    lines += word;
    column += width;
  }
  return lines + "\n";
}

}  // namespace holdfast::host::notify
