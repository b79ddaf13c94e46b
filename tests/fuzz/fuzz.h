// SPDX-License-Identifier: MIT
//
// What a fuzz target is: one function that takes any bytes at all and checks what has to hold for
// every input. Built by the preset 'fuzz' it runs under libFuzzer; everywhere else replay.cpp runs
// it over the corpus, so that what was found once is tested for ever.
//
// Threads: one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace holdfast::fuzz {

// Each target defines this one.
void check(std::string_view input);

// Ends the process, and so keeps the input, unless `holds`.
void require(bool holds, std::string_view what);

// May this go to a terminal, a log or the host as it is? One line, no control characters, UTF-8.
[[nodiscard]] bool is_one_safe_line(std::string_view text);

// Values of a wanted kind out of the input; zeros and nothing once it is used up.
class Bytes {
 public:
  explicit Bytes(std::string_view input) : rest_(input) {}

  [[nodiscard]] bool empty() const { return rest_.empty(); }
  [[nodiscard]] std::uint8_t byte();
  [[nodiscard]] std::uint64_t number();
  // At most 255 bytes, the first of which is their count.
  [[nodiscard]] std::string text();
  [[nodiscard]] std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

}  // namespace holdfast::fuzz
