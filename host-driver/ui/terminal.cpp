// SPDX-License-Identifier: MIT
#include "ui/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

namespace holdfast::host::ui {

TerminalSize terminal_size() {
  winsize size{};
  TerminalSize usual;
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0) return usual;
  return {size.ws_col > 0 ? size.ws_col : usual.columns,
          size.ws_row > 0 ? size.ws_row : usual.rows};
}

bool terminal_attached() {
  return ::isatty(STDERR_FILENO) == 1;
}

}  // namespace holdfast::host::ui
