// SPDX-License-Identifier: MIT
//
// What was told of a machine the last time, so that its first good run after a failure is told as
// well: one small file per command and machine in "outcomes" of the state directory. Without it,
// or when it cannot be read, nothing was told.
//
// Threads: one at a time per command and machine; a file is replaced in one step.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "notify/notice.h"

namespace holdfast::host::notify {

struct Remembered {
  Outcome told = Outcome::kGood;
  std::string last_good;  // when that run ended, in RFC 3339; empty: not known
};

class Memory {
 public:
  explicit Memory(std::string state_directory) : directory_(std::move(state_directory)) {}

  [[nodiscard]] Remembered recall(const std::string& command, const std::string& vm) const;
  [[nodiscard]] base::Result<void> keep(const std::string& command, const std::string& vm,
                                        const Remembered& what) const;

 private:
  // Nothing for a name that cannot be part of one.
  [[nodiscard]] std::optional<std::string> file_of(const std::string& command,
                                                   const std::string& vm) const;

  std::string directory_;
};

}  // namespace holdfast::host::notify
