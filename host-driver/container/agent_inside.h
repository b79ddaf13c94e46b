// SPDX-License-Identifier: MIT
//
// The guest service of Holdfast in a container, asked by its own command there, holdfastctl(8).
// What comes back is the container's word: bounded in size and time, and printable.
//
// Threads: one at a time. Ownership: borrows the manager and the ProcessRunner. Errors: kNotFound,
// kTimedOut, kCancelled, kProcessFailed for a container in which nothing can be run.
#pragma once

#include <cstddef>
#include <optional>
#include <stop_token>
#include <string>

#include "container/manager.h"

namespace holdfast::host::container {

class AgentInside {
 public:
  AgentInside(const Manager& manager, base::ProcessRunner& processes)
      : manager_(manager), processes_(processes) {}

  // How the command ended, and the first line of what it complained about.
  struct Answer {
    int status = 0;
    std::string complaint;
  };

  // kNotFound if there is no holdfastctl in it.
  [[nodiscard]] base::Result<void> look(base::Deadline deadline, const std::stop_token& stop);
  [[nodiscard]] base::Result<Answer> freeze(base::Deadline deadline, const std::stop_token& stop);
  // Whether or not anything is held; never cancelled.
  [[nodiscard]] base::Result<Answer> thaw(base::Deadline deadline);
  // A file in the container; kNotFound, kTooLarge.
  [[nodiscard]] base::Result<std::string> read(const std::string& path, std::size_t limit,
                                               base::Deadline deadline,
                                               const std::stop_token& stop);

 private:
  [[nodiscard]] base::ProcessOutcome run(std::vector<std::string> argv, std::size_t limit,
                                         base::Deadline deadline, const std::stop_token& stop);
  [[nodiscard]] base::Result<Answer> say(const char* verb, base::Deadline deadline,
                                         const std::stop_token& stop);

  const Manager& manager_;
  base::ProcessRunner& processes_;
};

}  // namespace holdfast::host::container
