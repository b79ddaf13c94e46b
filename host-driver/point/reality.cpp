// SPDX-License-Identifier: MIT
#include "point/reality.h"

#include <algorithm>

#include "base/text.h"
#include "image/point_file.h"
#include "point/kept_chain.h"

namespace holdfast::host::point {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Result;
using image::is_same_file;

Images look_at_images(const Points& points, const std::set<std::string>& others,
                      image::QemuImg& images, Deadline deadline) {
  std::set<std::string> paths = others;
  for (const Point& point : points.points) {
    for (const PointDisk& disk : point.disks)
      if (disk.chain.front().format == "qcow2") paths.insert(disk.chain.front().path);
  }
  Images found;
  for (const std::string& path : paths)
    found.emplace(path, images.info(path, "qcow2", image::QemuImg::Use::kShared, deadline));
  return found;
}

std::optional<std::string> problem_of(const Point& point, const PointDisk& disk,
                                      const Images& images) {
  if (point.method != kInternal) {
    const auto layers = layers_of(point, disk);
    if (layers) return std::nullopt;
    return "disk '" + disk.name + "': " + layers.error().text();
  }
  const std::string& path = disk.chain.front().path;
  const auto found = images.find(path);
  if (found == images.end()) return "disk '" + disk.name + "': its image was not looked at";
  if (!found->second) {
    return "disk '" + disk.name + "': unable to look at " + base::in_quotes(path) + ": " +
           found->second.error().text();
  }
  const image::ImageSnapshot* const there = found->second->snapshot(snapshot_name(point.id));
  if (there != nullptr) {
    const bool lacks = point.memory && point.memory->disk == disk.name && there->memory == 0;
    if (!lacks) return std::nullopt;
    return "disk '" + disk.name + "': " + base::in_quotes(path) + " has it without its memory";
  }
  return "disk '" + disk.name + "': " + base::in_quotes(path) + " has it no more";
}

std::vector<std::string> problems_of(const Point& point, const Images& images) {
  std::vector<std::string> problems;
  for (const PointDisk& disk : point.disks) {
    if (auto problem = problem_of(point, disk, images); problem) {
      problems.push_back(std::move(*problem));
    }
  }
  return problems;
}

Result<void> check_below(const Point& point, const PointDisk& disk, image::QemuImg& images,
                         Deadline deadline) {
  const auto layers = layers_of(point, disk);
  if (!layers) return layers.error();
  // In a snapshot it stands on what it stood on.
  if (point.method == kBtrfs) return {};
  const std::vector<image::Layer>& chain = *layers;
  for (std::size_t i = 0; i < chain.size(); ++i) {
    const image::Layer& layer = chain[i];
    const bool is_last = i + 1 == chain.size();
    if (layer.format != "qcow2") continue;
    const auto info = images.info(layer.path, layer.format, image::QemuImg::Use::kShared, deadline);
    if (!info) return info.error();
    const std::string& below = info->backing_file;
    if (is_last ? below.empty() : is_same_file(below, chain[i + 1].path)) continue;
    return Error(ErrorCode::kRefused,
                 "what " + base::in_quotes(layer.path) +
                     " stands on is not what it was when the point was "
                     "taken: " +
                     (below.empty() ? "nothing" : base::in_quotes(below)) + ", and it was " +
                     (is_last ? "nothing" : base::in_quotes(chain[i + 1].path)));
  }
  return {};
}

std::vector<ForeignSnapshot> foreign_in(const Points& points, const Images& images) {
  std::map<std::string, ForeignSnapshot> foreign;
  for (const auto& [path, info] : images) {
    if (!info) continue;
    for (const image::ImageSnapshot& snapshot : info->snapshots) {
      const bool ours =
          std::any_of(points.points.begin(), points.points.end(),
                      [&](const Point& point) { return snapshot_name(point.id) == snapshot.name; });
      if (ours) continue;
      ForeignSnapshot& one = foreign[snapshot.name];
      one.name = snapshot.name;
      one.paths.push_back(path);
      one.time = std::max(one.time, snapshot.time);
      one.has_memory = one.has_memory || snapshot.memory > 0;
    }
  }
  std::vector<ForeignSnapshot> list;
  list.reserve(foreign.size());
  for (auto& [name, one] : foreign)
    list.push_back(std::move(one));
  return list;
}

}  // namespace holdfast::host::point
