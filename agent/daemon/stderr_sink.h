// SPDX-License-Identifier: MIT
//
// Where log lines end up: standard error, one write(2) per line. Under systemd that is the journal,
// which takes the level from a "<4>" in front (sd-daemon(3)) and has its own clock; elsewhere the
// line begins with the time.
#pragma once

#include <spdlog/details/null_mutex.h>
#include <spdlog/sinks/base_sink.h>

namespace holdfast::daemon {

// Not locked by itself: it stands behind core::LogRing, which is.
class StderrSink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  explicit StderrSink(bool for_journal) : for_journal_(for_journal) {}

  // Is standard error the journal's, by what systemd says in JOURNAL_STREAM?
  [[nodiscard]] static bool stderr_is_journal();

 private:
  void sink_it_(const spdlog::details::log_msg& message) override;
  void flush_() override {}

  bool for_journal_;
};

}  // namespace holdfast::daemon
