// SPDX-License-Identifier: MIT
#include "base/clock.h"

#include <algorithm>
#include <limits>

namespace holdfast::base {

int Deadline::poll_timeout() const {
  constexpr Millis::rep kMost = std::numeric_limits<int>::max();
  return static_cast<int>(std::min(remaining().count(), kMost));
}

}  // namespace holdfast::base
