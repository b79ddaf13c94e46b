// SPDX-License-Identifier: MIT
//
// What a drill cost, from its record: a line for each resource, and how long writers stood still.
#pragma once

#include <string>

#include "base/json_codec.h"

namespace holdfast::ctl {

// Empty if there is no record: the drill was refused.
[[nodiscard]] std::string drill_text(const base::Json& record);

}  // namespace holdfast::ctl
