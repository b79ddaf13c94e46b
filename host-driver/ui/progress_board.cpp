// SPDX-License-Identifier: MIT
#include "ui/progress_board.h"

#include <algorithm>
#include <cstdio>

#include "ui/progress_bar.h"

namespace holdfast::host::ui {

namespace {

constexpr base::Millis kLeastPause{100};

}  // namespace

void ProgressBoard::update(const std::string& name, const std::string& label, double percent) {
  if (!shown_) return;
  const bool changed = set(name, label, percent);
  const auto since = std::chrono::steady_clock::now() - last_draw_;
  if (changed || drawn_ == 0 || since >= kLeastPause) draw();
}

void ProgressBoard::step(const std::string& name, const std::string& label) {
  if (!shown_) return;
  (void)set(name, label, -1);
  draw();
}

void ProgressBoard::remove(const std::string& name) {
  clear();
  std::erase_if(lines_, [&](const Line& line) { return line.name == name; });
}

void ProgressBoard::clear() {
  if (drawn_ == 0) return;
  // Up to the first of our lines; \033[J: everything below the cursor goes.
  (void)std::fprintf(stderr, "\033[%zuA\r\033[J", drawn_);
  (void)std::fflush(stderr);
  drawn_ = 0;
}

bool ProgressBoard::set(const std::string& name, const std::string& label, double percent) {
  const auto found = std::find_if(lines_.begin(), lines_.end(),
                                  [&](const Line& line) { return line.name == name; });
  if (found == lines_.end()) {
    lines_.push_back({name, label, percent});
    return true;
  }
  const bool changed = found->label != label;
  *found = {name, label, percent};
  return changed;
}

void ProgressBoard::draw() {
  const TerminalSize size = terminal_size();
  // What scrolls off the top cannot be taken away again.
  const std::size_t count = std::min(lines_.size(), std::max<std::size_t>(size.rows, 2) - 1);
  std::string text;
  if (drawn_ > 0) text = "\033[" + std::to_string(drawn_) + "A\r";
  for (std::size_t i = 0; i < count; ++i) {
    const Line& line = lines_[i];
    const std::string label = line.name + ": " + line.label;
    const std::string shown =
        line.percent < 0 ? label : format_bar(label, line.percent, size.columns);
    // A full line would wrap, and count for two.
    text += shown.substr(0, size.columns - 1) + "\033[K\n";
  }
  text += "\033[J";
  (void)std::fputs(text.c_str(), stderr);
  (void)std::fflush(stderr);
  drawn_ = count;
  last_draw_ = std::chrono::steady_clock::now();
}

}  // namespace holdfast::host::ui
