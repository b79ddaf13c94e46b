// SPDX-License-Identifier: MIT
//
// One system call on many filesystems at once: each in a thread of its own, because syncfs(2) and
// FITHAW may sleep uninterruptibly on one filesystem, and the others must not wait for it.
//
// Not a thread pool: a filesystem that hangs keeps its thread until the kernel lets go, and nobody
// waits for it. Such a run stays "running" and a second one of the same kind is refused.
//
// Threads: start(), running() and take() on one thread. Completion shows as POLLIN on fd().
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/unique_fd.h"
#include "fs/fs_protocol.h"

namespace holdfast::fs {

class Fanout {
 public:
  // Returns 0 or an errno; called on a thread of its own with a descriptor that it borrows.
  using Operation = int (*)(int fd);

  Fanout();

  // Duplicates the descriptors, so that the set may be closed meanwhile. EBUSY while the last run
  // has not ended; otherwise 0, or why no thread could be made.
  [[nodiscard]] int start(const std::vector<base::UniqueFd>& filesystems, Operation operation);
  [[nodiscard]] bool running() const { return run_ != nullptr; }
  [[nodiscard]] int fd() const { return done_.get(); }
  // When fd() is readable: ends the run. count: those that returned 0; the first error of another
  // kind than `harmless` stands in error_number and which.
  [[nodiscard]] FsReply take(int harmless);

 private:
  struct Run;
  static void work(Run& run, std::size_t index);

  // Shared with the threads: they may outlive this object.
  std::shared_ptr<base::UniqueFd> shared_done_;
  const base::UniqueFd& done_;
  std::shared_ptr<Run> run_;
};

}  // namespace holdfast::fs
