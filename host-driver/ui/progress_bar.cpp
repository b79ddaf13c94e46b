// SPDX-License-Identifier: MIT
#include "ui/progress_bar.h"

#include <algorithm>
#include <cstdio>

namespace holdfast::host::ui {

namespace {

constexpr base::Millis kLeastPause{100};
constexpr std::size_t kLabelWidth = 28;

}  // namespace

std::string format_bar(const std::string& label, double percent, std::size_t width) {
  const double within = std::clamp(percent, 0.0, 100.0);
  std::string line = label.substr(0, kLabelWidth);
  line.resize(kLabelWidth + 1, ' ');
  char tail[16];
  std::snprintf(tail, sizeof tail, "] %3d%%", static_cast<int>(within));
  const std::string end(tail);
  if (width < line.size() + end.size() + 10) return line + end.substr(1);
  const std::size_t room = std::min<std::size_t>(width - line.size() - end.size() - 2, 60);
  const auto filled = static_cast<std::size_t>(within / 100 * static_cast<double>(room));
  return line + "[" + std::string(filled, '#') + std::string(room - filled, ' ') + end;
}

void ProgressBar::draw(const std::string& line) {
  last_draw_ = std::chrono::steady_clock::now();
  drawn_ = true;
  // \033[K: what a longer line left behind.
  (void)std::fprintf(stderr, "\r%s\033[K", line.c_str());
  (void)std::fflush(stderr);
}

void ProgressBar::update(const std::string& label, double percent) {
  if (!shown_) return;
  const bool same = drawn_ && label == last_label_;
  if (same && percent <= last_percent_) return;
  const auto since = std::chrono::steady_clock::now() - last_draw_;
  if (same && percent < 100 && since < kLeastPause) return;
  last_label_ = label;
  last_percent_ = percent;
  draw(format_bar(label, percent, terminal_size().columns));
}

void ProgressBar::step(const std::string& label) {
  if (!shown_) return;
  last_label_ = label;
  last_percent_ = 0;
  draw(label.substr(0, terminal_size().columns - 1));
}

void ProgressBar::clear() {
  if (!drawn_) return;
  drawn_ = false;
  (void)std::fputs("\r\033[K", stderr);
  (void)std::fflush(stderr);
}

}  // namespace holdfast::host::ui
