// SPDX-License-Identifier: MIT
//
// The writer's memory: when each commit was begun and when it was acknowledged.
//
// The file must lie on a tmpfs: the filesystems of the guest are frozen while the writer runs, and
// a record that had to wait for one of them would measure itself. It is a sequence of records of
// three 64-bit words in host order: number, begin and acknowledgement in nanoseconds of
// CLOCK_MONOTONIC. The last word is 0 until the commit is acknowledged.
//
// Threads: one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace holdfast::tools {

// What the run looked like to a client.
struct Summary {
  std::uint64_t commits = 0;
  std::chrono::nanoseconds median{0};
  std::chrono::nanoseconds p999{0};
  // The longest time between two acknowledgements: what an impatient user sees.
  std::chrono::nanoseconds longest{0};
};

class CommitLog {
 public:
  // An empty log in place of whatever stood at `path`. kRefused if that is not on a tmpfs.
  [[nodiscard]] static base::Result<CommitLog> create(const std::string& path);

  [[nodiscard]] base::Result<void> begin(std::uint64_t number, base::MonoTime now);
  // Of the commit that was begun last.
  [[nodiscard]] base::Result<void> acknowledge(base::MonoTime now);

  [[nodiscard]] Summary summary() const;

 private:
  explicit CommitLog(base::UniqueFd fd) : fd_(std::move(fd)) {}

  base::UniqueFd fd_;
  std::uint64_t size_ = 0;
  base::MonoTime begin_;
  std::vector<base::MonoTime> acknowledged_;
  std::vector<std::chrono::nanoseconds> latencies_;
};

}  // namespace holdfast::tools
