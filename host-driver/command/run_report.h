// SPDX-License-Identifier: MIT
//
// How the run of one machine ended, as a value that passes from the process that ran it to the one
// that shows it, and into --json. The other events of a run (steps, progress, notes) take the same
// way: one JSON document per line.
//
// Threads: plain values. Errors: kProtocol and kTooLarge for a line that is no event.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_codec.h"
#include "base/result.h"
#include "repository/level.h"

namespace holdfast::host::command {

struct RunReport {
  std::string vm;
  int status = 0;
  // What failed, or why the level is below the preferred one; without the machine's name.
  std::optional<base::Error> error = {};
  // Of what was published, with its "directory", and with the ids that the keep- rules "removed"
  // after it; null if nothing was.
  base::Json manifest = {};
  // Of a run that was its group's; empty: its own.
  std::string group = {};
  // It failed for no fault of its own: another one of its group did.
  bool by_another = false;
};

// `evidence` has the "reasons".
[[nodiscard]] base::Error below_preferred(repository::Level level, const base::Json& evidence,
                                          const std::string& preferred);

// The one line that cron mails: "web1: ID: level, window, disks, bytes", its group, and how
// many older backups were removed, if any.
[[nodiscard]] std::string summary_of(const RunReport& report);
// {"vm", "status", "error", "hint", "backup"}.
[[nodiscard]] base::Json json_of(const RunReport& report);

// Of several exit statuses the one that says most: failed (1), wrong configuration (2), locked (4),
// below the preferred level (3), done (0). The order of the runs has no say in it.
[[nodiscard]] int worst_status(const std::vector<RunReport>& reports);

struct Event {
  enum class Kind { kStep, kProgress, kNote, kEnd };
  Kind kind = Kind::kStep;
  std::string text = {};
  double percent = 0;
  RunReport report = {};  // kEnd; the machine's name is for the reader to set
};

inline constexpr std::size_t kEventLimit = std::size_t{16} << 20U;

// With its newline.
[[nodiscard]] std::string line_of(const Event& event);
// Without its newline.
[[nodiscard]] base::Result<Event> parse_event(std::string_view line);

}  // namespace holdfast::host::command
