// SPDX-License-Identifier: MIT
//
// Sees no thaw, and knows whether anybody wants it to.
#pragma once

#include "core/thaw_watch.h"

namespace holdfast::support {

class FakeThawWatch final : public core::ThawWatch {
 public:
  void begin() override { watching_ = true; }
  void end() override { watching_ = false; }
  [[nodiscard]] bool watching() const { return watching_; }

 private:
  bool watching_ = false;
};

}  // namespace holdfast::support
