// SPDX-License-Identifier: MIT
#include "ui/journal.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

namespace holdfast::host::ui {

bool is_journal_stream(int fd, std::string_view stream) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return false;
  return stream == std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino);
}

std::string_view journal_prefix(Gravity gravity) {
  // Who redirects standard error inside of a unit inherits the variable all the same.
  static const bool kToJournal = [] {
    const char* const stream = std::getenv("JOURNAL_STREAM");
    return stream != nullptr && is_journal_stream(STDERR_FILENO, stream);
  }();
  if (!kToJournal) return {};
  switch (gravity) {
    case Gravity::kError:
      return "<3>";
    case Gravity::kWarning:
      return "<4>";
    case Gravity::kNotice:
      return "<5>";
  }
  return {};
}

}  // namespace holdfast::host::ui
