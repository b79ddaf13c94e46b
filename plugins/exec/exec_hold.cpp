// SPDX-License-Identifier: MIT
#include "exec/exec_hold.h"

#include <chrono>
#include <utility>

namespace holdfast::exec {

using base::Deadline;
using base::Result;

namespace {

// For a hold that is dropped without release().
constexpr std::chrono::seconds kLastResort{5};

}  // namespace

ExecHold::ExecHold(Executor& executor, api::Identity identity, std::string window)
    : executor_(executor), identity_(std::move(identity)), window_(std::move(window)) {}

ExecHold::~ExecHold() {
  (void)release(Deadline::in(kLastResort));
}

Result<api::Position> ExecHold::check(Deadline deadline) {
  if (released_) {
    return base::Error(base::ErrorCode::kHoldLost,
                       "the hold of window '" + window_ + "' is released already");
  }
  auto held = executor_.check(Call{.window = window_, .deadline = deadline, .stop = {}});
  if (!held) return std::move(held).error();
  return position_;
}

Result<void> ExecHold::release(Deadline deadline) {
  if (released_) return {};
  released_ = true;
  return executor_.thaw(Call{.window = window_, .deadline = deadline, .stop = {}});
}

}  // namespace holdfast::exec
