// SPDX-License-Identifier: MIT
//
// While it exists, the calling thread, and each program that it starts, comes behind others when
// the disk is asked for something: best-effort, the lowest of eight (ioprio_set(2)). It is not the
// idle class, in which a copy beside a busy machine might never end while its snapshot fills up;
// who is in that class already, stays there. Schedulers that know no priorities pay no heed.
//
// Threads: made and destroyed by the same one.
#pragma once

namespace holdfast::host::snapshot {

class LowIoPriority {
 public:
  LowIoPriority();
  LowIoPriority(const LowIoPriority&) = delete;
  LowIoPriority& operator=(const LowIoPriority&) = delete;
  ~LowIoPriority();

 private:
  int before_;
};

}  // namespace holdfast::host::snapshot
