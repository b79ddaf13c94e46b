// SPDX-License-Identifier: MIT
//
// Several things that go on at once, one line each, below what has been printed; like ProgressBar
// on standard error, and only if that is a terminal. clear() before anything else is printed; the
// next update draws the lines again below it.
//
// Threads: one at a time.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "ui/terminal.h"

namespace holdfast::host::ui {

class ProgressBoard {
 public:
  // For tests, whether to show anything is told; terminal_attached() is the usual answer.
  explicit ProgressBoard(bool shown) : shown_(shown) {}
  ProgressBoard(const ProgressBoard&) = delete;
  ProgressBoard& operator=(const ProgressBoard&) = delete;
  ~ProgressBoard() { clear(); }

  // `percent` 0 to 100. Drawn at most ten times a second, unless the label is new.
  void update(const std::string& name, const std::string& label, double percent);
  // Something that has no measure: the label alone.
  void step(const std::string& name, const std::string& label);
  // It is over: its line goes away, and so do the others until the next update.
  void remove(const std::string& name);
  // Takes the lines away from the terminal, to be drawn again later.
  void clear();

 private:
  struct Line {
    std::string name;
    std::string label;
    double percent;  // negative: none
  };
  // True if the label is another one than before.
  bool set(const std::string& name, const std::string& label, double percent);
  void draw();

  bool shown_;
  std::vector<Line> lines_;
  std::size_t drawn_ = 0;
  base::MonoTime last_draw_;
};

}  // namespace holdfast::host::ui
