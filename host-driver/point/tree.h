// SPDX-License-Identifier: MIT
//
// How restore points stand on each other.
//
// Threads: plain functions.
#pragma once

#include <string_view>
#include <vector>

#include "point/points.h"

namespace holdfast::host::point {

struct Branch {
  const Point* point = nullptr;
  // How often the way to it has forked: what stands alone on another one stands below it in the
  // same column.
  std::size_t depth = 0;
};

// All of them, each after the one it stands on, the oldest way first. Borrowed from `points`.
[[nodiscard]] std::vector<Branch> as_tree(const Points& points);

// Takes it out: what stood on it stands on what it stood on.
void take_out(Points& points, std::string_view id);

}  // namespace holdfast::host::point
