// SPDX-License-Identifier: MIT
#include "snapshot/low_io_priority.h"

#include <linux/ioprio.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace holdfast::host::snapshot {

namespace {

constexpr int kThisThread = 0;

int priority() {
  return static_cast<int>(::syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, kThisThread));
}

void set_priority(int value) {
  // A courtesy: what cannot be had is done without.
  (void)::syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, kThisThread, value);
}

int class_of(int value) {
  return value >> IOPRIO_CLASS_SHIFT;
}

}  // namespace

LowIoPriority::LowIoPriority() : before_(priority()) {
  if (before_ >= 0 && class_of(before_) != IOPRIO_CLASS_IDLE) {
    set_priority(IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, IOPRIO_NR_LEVELS - 1));
  }
}

LowIoPriority::~LowIoPriority() {
  if (before_ >= 0) set_priority(before_);
}

}  // namespace holdfast::host::snapshot
