// SPDX-License-Identifier: MIT
//
// The daemon's documents made readable. What is missing or of another type is shown as "-": a table
// is never a reason to fail. All text passes through printable().
#pragma once

#include <string>
#include <vector>

#include "base/json_codec.h"

namespace holdfast::ctl {

// Columns as wide as they need be, two blanks between them.
[[nodiscard]] std::string table(const std::vector<std::vector<std::string>>& rows);

// Of the verbs 'status' and 'check'.
[[nodiscard]] std::string status_text(const base::Json& status);
// Of the verb 'report'.
[[nodiscard]] std::string report_text(const base::Json& report);

}  // namespace holdfast::ctl
