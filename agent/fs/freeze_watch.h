// SPDX-License-Identifier: MIT
//
// Sees that a filesystem is frozen. The kernel has no call that says so, and FIFREEZE, whose EBUSY
// would, freezes what is not. But whoever would write waits, and a thread can be seen to wait: one
// of our own takes away a name that is not there, again and again. unlinkat(2) asks for write
// access first (mnt_want_write), which a frozen filesystem grants when it is thawed; otherwise it
// finds nothing, and has changed nothing. Where it waits stands in /proc/self/task/TID/wchan.
//
// Seeing is proof; not seeing is none: a kernel without wchan shows nothing.
//
// Threads: one, and the watching thread, which may sleep uninterruptibly until the thaw. Nobody
// waits for that one.
#pragma once

#include <memory>

#include "base/unique_fd.h"

namespace holdfast::fs {

class FreezeWatch {
 public:
  FreezeWatch() = default;
  FreezeWatch(const FreezeWatch&) = delete;
  FreezeWatch& operator=(const FreezeWatch&) = delete;
  ~FreezeWatch();

  // Begins to watch, in place of what it watched before. `filesystem` is a directory, borrowed for
  // this call. 0, or an errno.
  [[nodiscard]] int start(int filesystem);
  void stop();
  [[nodiscard]] bool running() const { return run_ != nullptr; }

  // Is it frozen, at this moment? Doesn't block.
  [[nodiscard]] bool sees_freeze() const;
  // Milliseconds after which it is worth looking again: few at first, since a freeze is short.
  [[nodiscard]] int next_look();

 private:
  struct Run;
  static void work(const std::shared_ptr<Run>& run);

  // Shared with the thread: it may outlive this object.
  std::shared_ptr<Run> run_;
  int looks_ = 0;
};

}  // namespace holdfast::fs
