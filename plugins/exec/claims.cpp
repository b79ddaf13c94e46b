// SPDX-License-Identifier: MIT
#include "exec/claims.h"

#include "base/text.h"

namespace holdfast::exec {

using base::Error;
using base::ErrorCode;
using base::Result;

Result<void> Claims::take(const std::string& resource, base::Deadline deadline,
                          const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  const bool is_free =
      changed_.wait_until(lock, stop, deadline.at(), [&] { return !taken_.contains(resource); });
  if (!is_free) {
    return Error(stop.stop_requested() ? ErrorCode::kCancelled : ErrorCode::kBusy,
                 "unable to use '" + base::printable(resource) +
                     "': its programs are still busy with an earlier window");
  }
  taken_.insert(resource);
  return {};
}

void Claims::give_back(const std::string& resource) {
  {
    const std::lock_guard lock(mutex_);
    taken_.erase(resource);
  }
  changed_.notify_all();
}

}  // namespace holdfast::exec
