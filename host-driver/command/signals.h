// SPDX-License-Identifier: MIT
//
// SIGINT, SIGTERM and SIGHUP as requests to stop: the first one asks the run to end at the next
// safe point, a second one to leave the clearing up to the next run.
//
// Threads: blocks the signals in the thread that makes it, so make it before any other thread; the
// tokens may be used anywhere. The guardian is forked from here on and unblocks nothing: it ignores
// these signals.
#pragma once

#include <stop_token>
#include <thread>

#include "base/unique_fd.h"

namespace holdfast::host::command {

class Signals {
 public:
  Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;
  ~Signals();

  [[nodiscard]] std::stop_token stop() const { return first_.get_token(); }
  [[nodiscard]] std::stop_token abandon() const { return second_.get_token(); }

 private:
  void listen();

  base::UniqueFd signals_;
  base::UniqueFd ended_;
  std::stop_source first_;
  std::stop_source second_;
  std::thread listener_;
};

}  // namespace holdfast::host::command
