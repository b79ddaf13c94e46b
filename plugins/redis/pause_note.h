// SPDX-License-Identifier: MIT
//
// A note under /run of a pause that is, or is about to be, on: were this process killed now, the
// next one would find it and end the pause, as the end of a session does for other engines. It
// names the run of the server, so that a server that has been restarted, or restored from a
// snapshot, is never told to unpause what it does not know.
//
// Threads: the resource's worker.
#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"

namespace holdfast::redis {

class PauseNote {
 public:
  // An empty path: keeps no note.
  explicit PauseNote(std::string path) : path_(std::move(path)) {}

  [[nodiscard]] base::Result<void> write(const std::string& run_id, base::Millis bound) const;
  // The run id of a server that may still be paused; none once the bound has passed.
  [[nodiscard]] std::optional<std::string> read() const;
  void forget() const;

 private:
  std::string path_;
};

}  // namespace holdfast::redis
