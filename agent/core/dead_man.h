// SPDX-License-Identifier: MIT
//
// The timer that lets go when no thaw comes. Armed before anything is locked; when it runs out,
// whoever owns it calls Coordinator::expire(). Filesystems have one of their own (FsFreezer::arm).
//
// Threads: any.
#pragma once

#include "base/clock.h"

namespace holdfast::core {

class DeadMan {
 public:
  DeadMan() = default;
  DeadMan(const DeadMan&) = delete;
  DeadMan& operator=(const DeadMan&) = delete;
  virtual ~DeadMan() = default;

  // Runs out once at this moment; an earlier setting is replaced.
  virtual void arm(base::MonoTime at) = 0;
  virtual void disarm() = 0;
};

}  // namespace holdfast::core
