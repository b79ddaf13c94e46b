// SPDX-License-Identifier: MIT
#include "point/tree.h"

#include <algorithm>
#include <map>
#include <string>

namespace holdfast::host::point {

std::vector<Branch> as_tree(const Points& points) {
  std::map<std::string_view, std::vector<const Point*>> children;
  for (const Point& point : points.points)
    children[point.parent].push_back(&point);
  std::vector<Branch> tree;
  // What is still to be shown, the next one last.
  std::vector<Branch> rest;
  const auto add_children = [&](std::string_view id, std::size_t depth) {
    const auto found = children.find(id);
    if (found == children.end()) return;
    for (auto child = found->second.rbegin(); child != found->second.rend(); ++child)
      rest.push_back({*child, depth + (found->second.size() > 1 && !id.empty() ? 1 : 0)});
  };
  add_children("", 0);
  while (!rest.empty()) {
    const Branch branch = rest.back();
    rest.pop_back();
    tree.push_back(branch);
    add_children(branch.point->id, branch.depth);
  }
  return tree;
}

void take_out(Points& points, std::string_view id) {
  const Point* const found = points.find(id);
  if (found == nullptr) return;
  const std::string gone = found->id;
  const std::string parent = found->parent;
  for (Point& point : points.points) {
    if (point.parent == gone) point.parent = parent;
  }
  if (points.current == gone) points.current = parent;
  std::erase_if(points.points, [&](const Point& point) { return point.id == gone; });
}

}  // namespace holdfast::host::point
