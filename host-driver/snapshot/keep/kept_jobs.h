// SPDX-License-Identifier: MIT
//
// Jobs of QEMU that move what points hold from one image of a chain to another. One at a time;
// while one is at work every image reads the same as before. What was copied is on disk before QEMU
// changes a header.
//
// Threads: one at a time. Ownership: borrows the monitor. Errors: kIo with QEMU's own word for a
// job that failed; kCancelled and kTimedOut leave it at work, and finish() follows it to its end.
#pragma once

#include <stop_token>
#include <string_view>

#include "base/clock.h"
#include "qmp/client.h"

namespace holdfast::host::snapshot {

class KeptJobs {
 public:
  KeptJobs(qmp::Client& monitor, base::Millis patience, std::stop_token stop)
      : monitor_(monitor), patience_(patience), stop_(std::move(stop)) {}

  // From its begin to its end.
  [[nodiscard]] base::Result<void> run(std::string_view command, base::Json arguments);

  // A commit of the top: as long as it is only ready, the guest's writes go to both.
  [[nodiscard]] base::Result<void> run_until_ready(std::string_view command, base::Json arguments);
  [[nodiscard]] base::Result<void> complete();

  // What an interrupted command began; a commit of the top is given up. None is no error.
  [[nodiscard]] base::Result<void> finish();

 private:
  // What is done about a job that waits to be told to complete.
  enum class Ready { kReturn, kWait, kCancel };
  [[nodiscard]] base::Result<void> start(std::string_view command, base::Json arguments);
  [[nodiscard]] base::Result<void> follow(Ready ready);
  [[nodiscard]] base::Result<void> flush();

  qmp::Client& monitor_;
  base::Millis patience_;
  std::stop_token stop_;
};

}  // namespace holdfast::host::snapshot
