// SPDX-License-Identifier: MIT
//
// One line on a terminal that shows how far something is. Writes to standard error, and only if
// that is a terminal: a log or cron's mail gets nothing.
//
// Threads: one at a time.
#pragma once

#include <string>

#include "base/clock.h"
#include "ui/terminal.h"

namespace holdfast::host::ui {

class ProgressBar {
 public:
  // For tests, whether to show anything is told; terminal_attached() is the usual answer.
  explicit ProgressBar(bool shown) : shown_(shown) {}
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  ~ProgressBar() { clear(); }

  // `percent` 0 to 100. Drawn at most ten times a second.
  void update(const std::string& label, double percent);
  // Something that has no measure: the label alone.
  void step(const std::string& label);
  // Takes the line away again.
  void clear();

 private:
  void draw(const std::string& line);

  bool shown_;
  bool drawn_ = false;
  double last_percent_ = 0;
  std::string last_label_;
  base::MonoTime last_draw_;
};

// "copying vda    [#########           ]  45%", `width` columns at most.
[[nodiscard]] std::string format_bar(const std::string& label, double percent, std::size_t width);

}  // namespace holdfast::host::ui
