// SPDX-License-Identifier: MIT
//
// What the state of one disk at a point is to be read from: for one inside an image that and what
// is below it; for one beside it its file, the files of the points that it rests on, as their
// headers say (points between them may have gone), and what was below the first of them all along;
// for one in a snapshot the image and what is below it there, as far as it is in a snapshot.
//
// Threads: plain functions. Errors: kNotFound, kCorrupt, kRefused name the file.
#pragma once

#include <vector>

#include "base/result.h"
#include "point/points.h"

namespace holdfast::host::point {

[[nodiscard]] base::Result<std::vector<image::Layer>> layers_of(const Point& point,
                                                                const PointDisk& disk);

// The chain of this disk for a point that would be taken now, of which others tell what may be
// below the first file of all, or below the image; the machine is off.
[[nodiscard]] base::Result<std::vector<image::Layer>> present_chain(const Points& points,
                                                                    const PointDisk& disk);

// What was below the first file of all: `chain` without the image and the points' files.
[[nodiscard]] std::vector<image::Layer> without_points(const std::vector<image::Layer>& chain);

}  // namespace holdfast::host::point
