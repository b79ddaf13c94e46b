// SPDX-License-Identifier: MIT
#include "point/kept_chain.h"

#include <unistd.h>

#include "base/text.h"
#include "image/point_file.h"
#include "image/qcow2_header.h"

namespace holdfast::host::point {

using base::Error;
using base::ErrorCode;
using base::Result;
using image::Layer;

namespace {

constexpr std::size_t kDeepest = 32;

std::string beside(const std::string& file, const std::string& other) {
  if (other.starts_with('/')) return other;
  return file.substr(0, file.rfind('/') + 1) + other;
}

// From `top` on, by the headers, as long as they lead to the points' files of `image`; then `rest`.
Result<std::vector<Layer>> follow(std::string top, const std::string& image,
                                  const std::vector<Layer>& rest) {
  std::vector<Layer> layers;
  while (layers.size() < kDeepest) {
    const auto header = image::read_header(top);
    if (!header) return header.error();
    layers.push_back({top, "qcow2"});
    const std::string below =
        header->backing_file.empty() ? std::string() : beside(top, header->backing_file);
    if (!below.empty() && image::image_of(below) == image && below != image) {
      top = below;
      continue;
    }
    if (rest.empty() ? below.empty() : image::is_same_file(below, rest.front().path)) {
      layers.insert(layers.end(), rest.begin(), rest.end());
      return layers;
    }
    return Error(ErrorCode::kRefused,
                 "what " + base::in_quotes(top) +
                     " stands on is not what it was when the point was taken: " +
                     (below.empty() ? "nothing" : base::in_quotes(below)) + ", and it was " +
                     (rest.empty() ? "nothing" : base::in_quotes(rest.front().path)));
  }
  return Error(ErrorCode::kCorrupt, base::in_quotes(top) + " stands on too many images");
}

// Where this path is in the snapshots: a subvolume that is in another one is not in its snapshot.
std::string in_snapshot(const Point& point, const std::string& path) {
  const PointSnapshot* nearest = nullptr;
  for (const PointSnapshot& snapshot : point.snapshots) {
    const std::string inside = snapshot.source == "/" ? "/" : snapshot.source + "/";
    if (path.starts_with(inside) &&
        (nearest == nullptr || snapshot.source.size() > nearest->source.size())) {
      nearest = &snapshot;
    }
  }
  if (nearest == nullptr) return path;
  const std::size_t top = nearest->source == "/" ? 0 : nearest->source.size();
  return nearest->path + path.substr(top);
}

Result<std::vector<Layer>> layers_in_snapshots(const Point& point, const PointDisk& disk) {
  std::vector<Layer> layers;
  for (const Layer& layer : disk.chain) {
    const std::string inside = in_snapshot(point, layer.path);
    if (::access(inside.c_str(), F_OK) == 0) {
      layers.push_back({inside, layer.format});
    } else if (layers.empty()) {
      return Error(ErrorCode::kNotFound, base::in_quotes(inside) + " is not there any more");
    } else {
      // In a subvolume of its own, of which no snapshot was taken since nobody writes to it.
      layers.push_back(layer);
    }
  }
  return layers;
}

}  // namespace

std::vector<Layer> without_points(const std::vector<Layer>& chain) {
  const std::string image = image::image_of(chain.front().path);
  std::vector<Layer> rest;
  for (const Layer& layer : chain)
    if (image::image_of(layer.path) != image) rest.push_back(layer);
  return rest;
}

Result<std::vector<Layer>> layers_of(const Point& point, const PointDisk& disk) {
  if (point.method == kBtrfs) return layers_in_snapshots(point, disk);
  if (point.method != kOverlay) return disk.chain;
  const std::string& image = disk.chain.front().path;
  return follow(image::point_file(image, point.id), image, without_points(disk.chain));
}

Result<std::vector<Layer>> present_chain(const Points& points, const PointDisk& disk) {
  const std::string& image = disk.chain.front().path;
  if (disk.chain.front().format != "qcow2") return std::vector<Layer>{disk.chain.front()};
  // One that was flattened rests on nothing, or on points that do.
  auto chain = follow(image, image, {});
  for (const Point& point : points.points) {
    for (const PointDisk& other : point.disks) {
      if (chain) return chain;
      if (other.chain.front().path != image) continue;
      chain = follow(image, image, without_points(other.chain));
    }
  }
  return chain;
}

}  // namespace holdfast::host::point
