// SPDX-License-Identifier: MIT
//
// The terminal on standard error: is there one, and how large is it now.
//
// Threads: any.
#pragma once

#include <cstddef>

namespace holdfast::host::ui {

struct TerminalSize {
  std::size_t columns = 80;
  std::size_t rows = 24;
};

[[nodiscard]] TerminalSize terminal_size();
[[nodiscard]] bool terminal_attached();

}  // namespace holdfast::host::ui
