// SPDX-License-Identifier: MIT
#include "daemon/stderr_sink.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "base/duration.h"

namespace holdfast::daemon {

namespace {

// syslog(3): 3 error, 4 warning, 6 information, 7 debug.
const char* journal_level(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::critical:
    case spdlog::level::err:
      return "<3>";
    case spdlog::level::warn:
      return "<4>";
    case spdlog::level::info:
      return "<6>";
    case spdlog::level::debug:
    case spdlog::level::trace:
    case spdlog::level::off:
    case spdlog::level::n_levels:
      return "<7>";
  }
  return "<7>";
}

}  // namespace

bool StderrSink::stderr_is_journal() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat status {};
  if (stream == nullptr || ::fstat(STDERR_FILENO, &status) != 0) return false;
  return stream == std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino);
}

void StderrSink::sink_it_(const spdlog::details::log_msg& message) {
  std::string line;
  if (for_journal_) {
    line = journal_level(message.level);
  } else {
    line = base::format_time(message.time) + " ";
    line.append(spdlog::level::to_string_view(message.level).data(),
                spdlog::level::to_string_view(message.level).size());
    line += ' ';
  }
  line.append(message.logger_name.data(), message.logger_name.size());
  line += ": ";
  line.append(message.payload.data(), message.payload.size());
  line += '\n';
  (void)!::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace holdfast::daemon
