// SPDX-License-Identifier: MIT
//
// Columns of text, as wide as they need to be.
#pragma once

#include <string>
#include <vector>

namespace holdfast::host::ui {

using Row = std::vector<std::string>;

// One line per row, the first one the heading; two blanks between columns, none at line ends.
[[nodiscard]] std::string format_table(const std::vector<Row>& rows);

}  // namespace holdfast::host::ui
