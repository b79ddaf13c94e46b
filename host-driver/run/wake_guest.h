// SPDX-License-Identifier: MIT
//
// The guest of a machine that goes on from its memory of an earlier time: it is frozen there, and
// its clock shows that time.
//
// Threads: plain function; blocks until the agent answers, within bounds.
#pragma once

#include <stop_token>
#include <string>

#include "config/settings.h"

namespace holdfast::host::run {

// Empty: done.
struct Woken {
  std::string unthawed;
  std::string clock_unset;
};

// May be repeated.
[[nodiscard]] Woken wake_guest(const config::Settings& settings, const std::stop_token& stop);

}  // namespace holdfast::host::run
