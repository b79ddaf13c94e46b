// SPDX-License-Identifier: MIT
//
// What is in the images, beside what the store says: anybody with the right tools may have removed
// a point's snapshots, or made others by hand.
//
// Threads: plain values and functions.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "image/qemu_img.h"
#include "point/points.h"

namespace holdfast::host::point {

// Of each image by its path; an error: it cannot be looked at.
using Images = std::map<std::string, base::Result<image::ImageInfo>>;

// The first images of all points' disks, as far as they are qcow2, and `others` (paths of qcow2
// images), whoever has them open.
[[nodiscard]] Images look_at_images(const Points& points, const std::set<std::string>& others,
                                    image::QemuImg& images, base::Deadline deadline);

// Why this point cannot be reverted to or extracted from, one line for each disk; none: it can.
[[nodiscard]] std::vector<std::string> problems_of(const Point& point, const Images& images);

// The same for one disk, and for what is below its first image: an internal snapshot has only what
// differs from it.
[[nodiscard]] std::optional<std::string> problem_of(const Point& point, const PointDisk& disk,
                                                    const Images& images);
[[nodiscard]] base::Result<void> check_below(const Point& point, const PointDisk& disk,
                                             image::QemuImg& images, base::Deadline deadline);

struct ForeignSnapshot {
  std::string name;
  std::vector<std::string> paths;  // of the images that have it
  std::int64_t time = 0;
  bool has_memory = false;
};

// Those that no point of the store has made, by name.
[[nodiscard]] std::vector<ForeignSnapshot> foreign_in(const Points& points, const Images& images);

}  // namespace holdfast::host::point
