// SPDX-License-Identifier: MIT
//
// A log sink that keeps its lines in memory while a window is open, and passes them on afterwards:
// a write to a frozen disk, or to a journal that stands on one, would block the very thread that
// has to thaw it. Bounded; lines beyond that are counted, and the count is logged.
//
// Threads: log() from any; hold() and flush() from the coordinator's. The sink behind is only used
// with the lock held, so it needs none of its own.
#pragma once

#include <spdlog/details/log_msg_buffer.h>
#include <spdlog/sinks/base_sink.h>

#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

namespace holdfast::core {

class LogRing final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  static constexpr std::size_t kDefaultLines = 512;

  explicit LogRing(spdlog::sink_ptr behind, std::size_t lines = kDefaultLines);

  // From now on nothing reaches the sink behind.
  void hold();
  // What was kept is passed on, in order, and everything after it directly.
  void flush_held();

 private:
  void sink_it_(const spdlog::details::log_msg& message) override;
  void flush_() override;
  void set_formatter_(std::unique_ptr<spdlog::formatter> formatter) override;

  spdlog::sink_ptr behind_;
  std::vector<spdlog::details::log_msg_buffer> lines_;
  std::size_t most_;
  std::size_t dropped_ = 0;
  bool holding_ = false;
};

}  // namespace holdfast::core
