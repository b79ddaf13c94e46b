// SPDX-License-Identifier: MIT
#include "core/log_ring.h"

#include <string>
#include <utility>

namespace holdfast::core {

LogRing::LogRing(spdlog::sink_ptr behind, std::size_t lines)
    : behind_(std::move(behind)), most_(lines) {
  lines_.reserve(most_);
}

void LogRing::hold() {
  const std::lock_guard lock(mutex_);
  holding_ = true;
}

void LogRing::flush_held() {
  const std::lock_guard lock(mutex_);
  holding_ = false;
  for (const auto& line : lines_)
    behind_->log(line);
  lines_.clear();
  if (dropped_ > 0) {
    const std::string text = std::to_string(std::exchange(dropped_, 0)) +
                             " lines were dropped while the filesystems were frozen";
    behind_->log(spdlog::details::log_msg("log", spdlog::level::warn, text));
  }
  behind_->flush();
}

void LogRing::sink_it_(const spdlog::details::log_msg& message) {
  if (!holding_) {
    behind_->log(message);
  } else if (lines_.size() < most_) {
    lines_.emplace_back(message);
  } else {
    // The first lines of a window say more about its trouble than the last ones.
    ++dropped_;
  }
}

void LogRing::flush_() {
  if (!holding_) behind_->flush();
}

void LogRing::set_formatter_(std::unique_ptr<spdlog::formatter> formatter) {
  behind_->set_formatter(std::move(formatter));
}

}  // namespace holdfast::core
