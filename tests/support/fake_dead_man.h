// SPDX-License-Identifier: MIT
//
// A dead-man that never acts, and remembers for when it was armed.
#pragma once

#include <optional>

#include "core/dead_man.h"
#include "support/call_log.h"

namespace holdfast::support {

class FakeDeadMan final : public core::DeadMan {
 public:
  explicit FakeDeadMan(CallLog& log) : log_(log) {}

  void arm(base::MonoTime at) override {
    armed_ = at;
    log_.add("dead-man arm");
  }
  void disarm() override {
    armed_.reset();
    log_.add("dead-man disarm");
  }
  [[nodiscard]] std::optional<base::MonoTime> armed() const { return armed_; }

 private:
  CallLog& log_;
  std::optional<base::MonoTime> armed_;
};

}  // namespace holdfast::support
