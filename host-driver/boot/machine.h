// SPDX-License-Identifier: MIT
//
// A QEMU that is thrown away: started with low priority, bounded in what it may write to each file
// and in time, first in the kernel's eye when memory runs out, ended with the object, and by the
// kernel if this process dies of whatever (ProcessRunner).
//
// Threads: made, used and destroyed by one thread; the process is waited for on one of its own.
// Ownership: owns the process; borrows the runner.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "base/process_runner.h"

namespace holdfast::host::boot {

class Machine {
 public:
  Machine(base::ProcessRunner& processes, std::vector<std::string> words, std::uint64_t file_limit,
          base::Deadline deadline);
  Machine(Machine&&) = delete;
  Machine& operator=(Machine&&) = delete;
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;
  ~Machine();

  // Has it ended by itself?
  [[nodiscard]] bool ended() const { return ended_; }
  // The same of one whose sockets are closed: it may take a moment.
  [[nodiscard]] bool ends_soon() const;
  // Ends it if it has not; how it ended.
  [[nodiscard]] const base::ProcessOutcome& end();
  // The last of what it has written to its console, printable, one line.
  [[nodiscard]] std::string console() const;

 private:
  void take(std::string_view piece);

  mutable std::mutex mutex_;
  std::string console_;  // the last bytes
  std::atomic<bool> ended_ = false;
  base::ProcessOutcome outcome_;
  std::stop_source stop_;
  std::thread thread_;
};

}  // namespace holdfast::host::boot
