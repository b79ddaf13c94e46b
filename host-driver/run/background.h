// SPDX-License-Identifier: MIT
//
// Copying is in no hurry, the machines beside it are: as long as a Background lives, the calling
// thread and the programs that it starts get processor and disk after everybody else. Measured
// with two processors: the guest's first commit after the thaw otherwise waits for the copy that
// begins at that moment.
//
// Threads: made and destroyed on one thread, and only that one is concerned.
#pragma once

namespace holdfast::host::run {

class Background {
 public:
  Background();
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;
  // As before; without CAP_SYS_NICE the thread stays where it is, which harms nobody.
  ~Background();

 private:
  int priority_;
  long io_priority_;
};

}  // namespace holdfast::host::run
