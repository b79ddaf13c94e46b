// SPDX-License-Identifier: MIT
#include "container/slot.h"

#include <optional>

#include "base/look_until.h"
#include "repository/paths.h"

namespace holdfast::host::container {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Millis;
using base::Result;

namespace {

// None of several locks can be waited for in the kernel.
constexpr Millis kLookAgain{200};

}  // namespace

Result<Slot> Slot::take(const std::string& state_directory, int limit, Deadline deadline,
                        const std::stop_token& stop, const std::function<void()>& waiting) {
  const std::string directory = state_directory + "/archives";
  if (auto made = repository::ensure_directory(directory); !made) return std::move(made).error();
  std::optional<repository::Lock> taken;
  std::optional<Error> problem;
  bool told = false;
  const auto look = [&] {
    for (int i = 1; i <= limit; ++i) {
      auto lock = repository::Lock::acquire(directory + "/" + std::to_string(i) + ".lock",
                                            "a place for an archive");
      if (lock) {
        taken.emplace(std::move(*lock));
        return true;
      }
      if (lock.error().code() == ErrorCode::kLocked) continue;
      problem = std::move(lock).error();
      return true;
    }
    if (!std::exchange(told, true)) waiting();
    return stop.stop_requested();
  };
  const bool ended = base::look_until(deadline, kLookAgain, look);
  if (problem) return std::move(*problem);
  if (taken) return Slot(std::move(*taken));
  if (ended) return Error(ErrorCode::kCancelled, "interrupted");
  return Error(ErrorCode::kTimedOut, "unable to get one of the " + std::to_string(limit) +
                                         " places for archives: all of them are in use")
      .with_hint("see the key parallel-archives");
}

}  // namespace holdfast::host::container
