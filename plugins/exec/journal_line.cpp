// SPDX-License-Identifier: MIT
#include "exec/journal_line.h"

#include <poll.h>
#include <unistd.h>

namespace holdfast::exec {

void journal_line(JournalLevel level, const std::string& text) {
  const std::string line =
      "<" + std::to_string(static_cast<int>(level)) + ">holdfast-execd: " + text + "\n";
  pollfd watched{STDERR_FILENO, POLLOUT, 0};
  if (::poll(&watched, 1, 0) != 1 || (watched.revents & POLLOUT) == 0) return;
  (void)!::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace holdfast::exec
