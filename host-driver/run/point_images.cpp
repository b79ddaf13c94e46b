// SPDX-License-Identifier: MIT
#include "run/point_images.h"

#include <algorithm>
#include <map>
#include <set>

#include "point/kept_chain.h"
#include "run/channel.h"
#include "run/guardian.h"
#include "snapshot/btrfs/subvolume_images.h"
#include "snapshot/internal/internal_images.h"
#include "snapshot/standstill.h"

namespace holdfast::host::run {

using base::Deadline;
using base::Result;

namespace {

// For the answer that lets the machine go on, on a busy host.
constexpr base::Millis kStoppedMargin{20000};

snapshot::Standstill standstill_of(const config::Settings& settings, qmp::Client* monitor) {
  if (monitor == nullptr) return {};
  return [&settings, monitor](const std::function<Result<void>()>& work) -> Result<void> {
    const auto time = [&] { return Deadline::in(settings.qmp_timeout); };
    const auto runs = snapshot::is_running(*monitor, time());
    if (!runs) return runs.error();
    if (!*runs) return work();
    auto guardian =
        Guardian::start({.vm = settings.vm, .agent = {}, .monitor = monitor_endpoint(settings)});
    if (!guardian) return std::move(guardian).error();
    auto armed = guardian->arm(settings.snapshot_timeout * 2 + kStoppedMargin);
    if (!armed) return armed;
    if (auto stands = snapshot::stand_still(*monitor, time()); !stands) return stands;
    auto done = work();
    // If this fails, the guardian sees to it as soon as we are gone.
    const auto gone_on = snapshot::go_on(*monitor, time());
    if (!gone_on) return done ? Result<void>(gone_on.error()) : std::move(done);
    guardian->dismiss();
    return done;
  };
}

// A disk of which something is missing has no more than that: it can be removed, and nothing else.
snapshot::KeptSubvolumes kept_subvolumes(const point::Point& point) {
  snapshot::KeptSubvolumes kept;
  for (const point::PointSnapshot& one : point.snapshots)
    kept.snapshots.push_back({one.source, one.path});
  for (const point::PointDisk& disk : point.disks) {
    auto layers = point::layers_of(point, disk);
    if (layers) kept.images.push_back({disk.chain, std::move(*layers)});
  }
  return kept;
}

}  // namespace

std::string method_of(const point::Points& points, const config::Settings& settings) {
  return points.points.empty() ? settings.snapshot_method : points.points.front().method;
}

std::string name_in_images(const point::Point& point) {
  return point.method == point::kInternal ? point::snapshot_name(point.id) : point.id;
}

std::unique_ptr<snapshot::KeepImages> make_keep_images(const config::Settings& settings,
                                                       image::QemuImg& images, qmp::Client* monitor,
                                                       const point::Points& points) {
  std::set<std::string> ids;
  for (const point::Point& point : points.points)
    ids.insert(point.id);
  return std::make_unique<snapshot::KeepImages>(images, settings.settle_timeout, monitor,
                                                standstill_of(settings, monitor), std::move(ids),
                                                std::stop_token());
}

Result<std::unique_ptr<snapshot::PointImages>> make_internal_images(
    const config::Settings& settings, image::QemuImg& images, qmp::Client* monitor) {
  using Made = std::unique_ptr<snapshot::PointImages>;
  if (monitor == nullptr) {
    return Made(std::make_unique<snapshot::InternalImages>(images, settings.settle_timeout));
  }
  const auto graph = read_graph(settings, *monitor);
  if (!graph) return graph.error();
  return Made(std::make_unique<snapshot::InternalImages>(images, settings.settle_timeout, *monitor,
                                                         *graph));
}

Result<std::unique_ptr<snapshot::PointImages>> make_point_images(const config::Settings& settings,
                                                                 image::QemuImg& images,
                                                                 qmp::Client* monitor,
                                                                 const point::Points& points) {
  const std::string method = method_of(points, settings);
  if (method == point::kInternal) return make_internal_images(settings, images, monitor);
  if (method == point::kBtrfs) {
    std::map<std::string, snapshot::KeptSubvolumes> kept;
    for (const point::Point& point : points.points)
      kept.emplace(point.id, kept_subvolumes(point));
    return std::unique_ptr<snapshot::PointImages>(std::make_unique<snapshot::SubvolumeImages>(
        images, settings.settle_timeout, std::move(kept)));
  }
  return std::unique_ptr<snapshot::PointImages>(
      make_keep_images(settings, images, monitor, points));
}

}  // namespace holdfast::host::run
