// SPDX-License-Identifier: MIT
//
// A system call that a signal may end early (EINTR), made again until it was not. Our programs take
// their signals from descriptors; but a call also ends when the process was stopped and continues
// (signal(7)), and in a process of others', such as a test's, there are handlers.
//
// Not for close(2), which has closed even then, and not for calls with a time limit of their own.
//
// Threads: any.
#pragma once

#include <cerrno>

namespace holdfast::base {

template <typename Call>
[[nodiscard]] auto uninterrupted(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR)
    result = call();
  return result;
}

}  // namespace holdfast::base
