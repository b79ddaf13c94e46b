// SPDX-License-Identifier: MIT
//
// What the host driver reads of restore points: its own store of them (point/points.h), which may
// be damaged, and what qemu-img says of an image (image/image_info.h).
#include "fuzz.h"
#include "image/image_info.h"
#include "point/points.h"
#include "point/tree.h"

namespace holdfast::fuzz {

namespace {

namespace point = host::point;

using base::ErrorCode;

void check_error(const base::Error& error) {
  const ErrorCode code = error.code();
  require(code == ErrorCode::kProtocol || code == ErrorCode::kTooLarge ||
              code == ErrorCode::kUnsupported,
          "it says which");
  require(is_one_safe_line(error.one_line()), "the error is one safe line");
}

void check_points(std::string_view text) {
  auto points = point::parse_points(text);
  if (!points) return check_error(points.error());
  const auto again = point::parse_points(base::to_document(point::to_json(*points)));
  require(again && point::to_json(*again) == point::to_json(*points),
          "what was written is read as it was");
  require(point::as_tree(*points).size() == points->points.size(), "each stands in the tree once");
  while (!points->points.empty()) {
    const std::size_t before = points->points.size();
    const std::string id = points->points[before / 2].id;
    points->revert.reset();
    point::take_out(*points, id);
    require(points->points.size() + 1 == before, "one is taken out");
    require(point::parse_points(base::to_document(point::to_json(*points))).has_value(),
            "what is left is whole");
  }
}

void check_info(std::string_view text) {
  const auto info = host::image::parse_image_info(text);
  if (!info) return check_error(info.error());
  for (const host::image::ImageSnapshot& snapshot : info->snapshots)
    require(info->snapshot(snapshot.name) != nullptr, "a snapshot is found by its name");
}

}  // namespace

void check(std::string_view input) {
  check_points(input.substr(0, 20000));
  check_info(input);
}

}  // namespace holdfast::fuzz
