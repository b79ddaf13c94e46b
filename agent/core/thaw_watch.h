// SPDX-License-Identifier: MIT
//
// Sees the guest agent thaw, before it has started its hook: one of the interfaces to the outside
// world. What is seen is that the host asked for the thaw, after filesystems really were frozen;
// whoever owns the watch calls Coordinator::thaw_seen() then. A watch that sees nothing costs
// nothing but time: the hook comes anyway.
//
// Threads: the coordinator's. Neither call blocks or fails.
#pragma once

namespace holdfast::core {

class ThawWatch {
 public:
  ThawWatch() = default;
  ThawWatch(const ThawWatch&) = delete;
  ThawWatch& operator=(const ThawWatch&) = delete;
  virtual ~ThawWatch() = default;

  // Before anything is held.
  virtual void begin() = 0;
  virtual void end() = 0;
};

}  // namespace holdfast::core
