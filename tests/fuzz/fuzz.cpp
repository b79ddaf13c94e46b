// SPDX-License-Identifier: MIT
#include "fuzz.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "base/text.h"

namespace holdfast::fuzz {

void require(bool holds, std::string_view what) {
  if (holds) return;
  (void)std::fprintf(stderr, "does not hold: %.*s\n", static_cast<int>(what.size()), what.data());
  std::abort();
}

bool is_one_safe_line(std::string_view text) {
  return base::printable(text, text.size()) == text;
}

std::uint8_t Bytes::byte() {
  if (rest_.empty()) return 0;
  const auto byte = static_cast<std::uint8_t>(rest_.front());
  rest_.remove_prefix(1);
  return byte;
}

std::uint64_t Bytes::number() {
  std::uint64_t number = 0;
  for (int i = 0; i < 8; ++i)
    number = (number << 8U) | byte();
  return number;
}

std::string Bytes::text() {
  const std::size_t wanted = byte();
  const std::size_t length = std::min(wanted, rest_.size());
  std::string text(rest_.substr(0, length));
  rest_.remove_prefix(length);
  return text;
}

}  // namespace holdfast::fuzz

// libFuzzer's entry, and replay.cpp's.
// NOLINTNEXTLINE(readability-identifier-naming): the name is libFuzzer's
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string input(size, '\0');
  std::copy(data, data + size, input.begin());
  holdfast::fuzz::check(input);
  return 0;
}
