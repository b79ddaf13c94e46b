// SPDX-License-Identifier: MIT
//
// `holdfast snapshot ACTION VM [POINT]`: the restore points of a machine. What the actions share,
// and each of them.
//
// Threads: one at a time.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "command/commands.h"
#include "image/qemu_img.h"
#include "point/points.h"
#include "run/points.h"

namespace holdfast::host::command {

[[nodiscard]] base::Result<int> snapshot_create(const Invocation& invocation,
                                                Environment& environment);
[[nodiscard]] base::Result<int> snapshot_list(const Invocation& invocation,
                                              Environment& environment);
[[nodiscard]] base::Result<int> snapshot_revert(const Invocation& invocation,
                                                Environment& environment);
[[nodiscard]] base::Result<int> snapshot_delete(const Invocation& invocation,
                                                Environment& environment);
[[nodiscard]] base::Result<int> snapshot_prune(const Invocation& invocation,
                                               Environment& environment);
[[nodiscard]] base::Result<int> snapshot_flatten(const Invocation& invocation,
                                                 Environment& environment);
[[nodiscard]] base::Result<int> snapshot_extract(const Invocation& invocation,
                                                 Environment& environment);

// Of the machine named behind the action; kUnsupported for one of libvirt's.
[[nodiscard]] base::Result<config::Settings> snapshot_settings(const Invocation& invocation,
                                                               Needs needs);

// Opened for changes; what had to be finished first is said.
[[nodiscard]] base::Result<std::unique_ptr<run::Points>> open_points(
    const config::Settings& settings, image::QemuImg& images, bool quiet, Environment& environment);

// By its id, the beginning of one, or "latest". kNotFound, kUsage if several begin so.
[[nodiscard]] base::Result<const point::Point*> find_point(const point::Points& points,
                                                           const std::string& vm,
                                                           std::string_view text);

struct Rotated {
  struct One {
    std::string id;
    std::vector<std::string> reasons;  // why it stays; none: it goes
    bool removed = false;
  };
  std::vector<One> points;  // oldest first
  std::vector<base::Error> problems;
};
// By the snapshot-keep- rules, of which there must be one. A point that is not whole stays, does
// not count, and is a problem.
[[nodiscard]] base::Result<Rotated> rotate(run::Points& points, const config::Settings& settings,
                                           image::QemuImg& images, bool dry_run);

}  // namespace holdfast::host::command
