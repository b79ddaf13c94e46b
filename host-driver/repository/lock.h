// SPDX-License-Identifier: MIT
//
// One run at a time: flock(2) on a file that says who holds it. The kernel lets go when the holder
// dies, so that no lock is ever left behind; the file itself stays.
//
// Threads: any. Ownership: the lock lives as long as the object.
#pragma once

#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace holdfast::host::repository {

class Lock {
 public:
  // kLocked, with the holder's pid in the message, if somebody has it. Doesn't wait.
  [[nodiscard]] static base::Result<Lock> acquire(const std::string& path, const std::string& what);

 private:
  explicit Lock(base::UniqueFd fd) : fd_(std::move(fd)) {}

  base::UniqueFd fd_;
};

}  // namespace holdfast::host::repository
