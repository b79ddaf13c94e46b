// SPDX-License-Identifier: MIT
//
// Writes something to the disk by a deadline. A flush of the disk right after a thaw, when
// everybody writes what had to wait, may take longer than a release is granted, and nothing can
// call it back; so it runs in a thread of its own. One that is not through by the deadline goes on,
// and the next one comes after it.
//
// Threads: one owner thread. The destructor waits for what is still being written.
#pragma once

#include <functional>
#include <thread>

#include "base/clock.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "base/waker.h"

namespace holdfast::postgresql {

class LabelKeeper {
 public:
  using Writer = std::function<base::Result<void>()>;

  // The waker is borrowed; it ends every wait.
  explicit LabelKeeper(base::Waker& waker) : waker_(waker) {}
  LabelKeeper(const LabelKeeper&) = delete;
  LabelKeeper& operator=(const LabelKeeper&) = delete;
  ~LabelKeeper();

  // What `write` returned, which must own all that it uses; kTimedOut or kCancelled if it is not
  // through (or not even begun, as an earlier one isn't).
  [[nodiscard]] base::Result<void> keep(Writer write, base::Deadline deadline);

 private:
  [[nodiscard]] base::Result<void> finish(base::Deadline deadline);

  base::Waker& waker_;
  // Readable once the thread is through.
  base::UniqueFd through_;
  base::Result<void> outcome_;
  std::thread thread_;
};

}  // namespace holdfast::postgresql
