// SPDX-License-Identifier: MIT
//
// Verifies what is being restored beside the writing of it: both read the same files, and either
// leaves a processor idle. Whoever writes meanwhile gives nothing its own name before end() has
// said that all is sound. It is for new files alone: what would be overwritten is gone when the
// verification fails.
//
// Threads: made, asked and destroyed on one thread; the work is done on another one. Destroyed
// before the end of the work, it asks it to stop and waits for it.
#pragma once

#include <functional>
#include <future>
#include <mutex>
#include <stop_token>
#include <string>

#include "base/result.h"

namespace holdfast::host::command {

class Verification {
 public:
  // What is being done, and how far it is in percent.
  using Shown = std::function<void(const std::string& doing, double percent)>;
  using Work = std::function<base::Result<void>(const std::stop_token& stop, const Shown& show)>;

  // Begins. A request to stop reaches the work and the writing.
  Verification(Work work, const std::stop_token& stop);
  Verification(const Verification&) = delete;
  Verification& operator=(const Verification&) = delete;
  ~Verification();

  // For the writing: it is to end, since something is not sound.
  [[nodiscard]] std::stop_token unsound() const { return unsound_.get_token(); }
  // Waits for the end of the work; what it has said. To be called once.
  [[nodiscard]] base::Result<void> end(const Shown& show);

 private:
  struct Progress {
    std::mutex mutex;
    std::string doing;
    double percent = 0;
  };

  std::stop_source stopped_;
  std::stop_source unsound_;
  Progress progress_;
  std::stop_callback<std::function<void()>> on_stop_;
  // The last one: it is gone first, which waits for the thread that uses the others.
  std::future<base::Result<void>> work_;
};

}  // namespace holdfast::host::command
