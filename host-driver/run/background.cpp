// SPDX-License-Identifier: MIT
#include "run/background.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace holdfast::host::run {

namespace {

constexpr int kSteps = 10;
constexpr int kLowest = 19;
// From ioprio_set(2). Not from <linux/ioprio.h>: its newer versions have a parameter named 'class'.
constexpr int kIoPrioProcess = 1;
constexpr int kIoPrioBestEffort = 2;
constexpr int kIoPrioClassShift = 13;
constexpr int kLastOfBestEffort = (kIoPrioBestEffort << kIoPrioClassShift) | 7;

}  // namespace

// With 0 for the process, Linux means the calling thread (setpriority(2), ioprio_set(2)).
Background::Background()
    : priority_(::getpriority(PRIO_PROCESS, 0)),
      io_priority_(::syscall(SYS_ioprio_get, kIoPrioProcess, 0)) {
  const int lower = priority_ + kSteps;
  (void)::setpriority(PRIO_PROCESS, 0, lower < kLowest ? lower : kLowest);
  (void)::syscall(SYS_ioprio_set, kIoPrioProcess, 0, kLastOfBestEffort);
}

Background::~Background() {
  (void)::setpriority(PRIO_PROCESS, 0, priority_);
  if (io_priority_ >= 0) (void)::syscall(SYS_ioprio_set, kIoPrioProcess, 0, io_priority_);
}

}  // namespace holdfast::host::run
