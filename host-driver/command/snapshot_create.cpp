// SPDX-License-Identifier: MIT
#include <iostream>

#include "base/text.h"
#include "command/retention.h"
#include "command/run_report.h"
#include "command/snapshot.h"
#include "command/watcher.h"
#include "run/point_run.h"

namespace holdfast::host::command {

using base::Error;
using base::Json;
using base::Result;
using point::Point;

namespace {

// The point is there, whatever becomes of older ones.
Result<void> rotate_after(const config::Settings& settings, image::QemuImg& images,
                          Environment& environment) {
  if (!rules_of(settings.snapshot_keep).any()) return {};
  auto points = open_points(settings, images, true, environment);
  const auto rotated = points ? rotate(**points, settings, images, false)
                              : Result<Rotated>(std::move(points).error());
  const std::string failure =
      "the restore point is there, but the snapshot-keep- rules could not be applied";
  if (!rotated) return base::wrap(rotated.error(), failure);
  if (!rotated->problems.empty()) return base::wrap(rotated->problems.front(), failure);
  return {};
}

Result<Point> take(const config::Settings& settings, const Invocation& invocation,
                   image::QemuImg& images, Environment& environment) {
  Watcher watcher(settings.vm, invocation.quiet);
  run::PointRun point_run(settings, invocation.label, invocation.with_memory, images, watcher,
                          environment.stop);
  auto point = point_run.run();
  watcher.end();
  return point;
}

}  // namespace

Result<int> snapshot_create(const Invocation& invocation, Environment& environment) {
  const auto settings = snapshot_settings(invocation, Needs::kMonitor);
  if (!settings) return settings.error();
  image::QemuImg images(environment.processes, settings->qemu_img);
  const auto point = take(*settings, invocation, images, environment);
  if (!point) return point.error();
  if (invocation.json) {
    Json json = point::to_json(*point);
    json["vm"] = settings->vm;
    std::cout << base::to_document(json);
  } else if (!invocation.quiet) {
    std::cout << settings->vm << ": " << point->id << ": restore point, level "
              << repository::name_of(point->level) << ", " << point->disks.size()
              << (point->disks.size() == 1 ? " disk" : " disks")
              << (point->memory ? ", with memory, for which the machine stood still for " +
                                      std::to_string(point->memory->standstill_ms) + " ms"
                                : "")
              << std::endl;
  }
  int status = 0;
  if (point->level < repository::level_named(settings->prefer).value()) {
    const Error below =
        below_preferred(point->level, point->evidence.at("evidence"), settings->prefer);
    complain(base::wrap(below, settings->vm));
    status = base::host_exit_status(below.code());
  }
  if (auto rotated = rotate_after(*settings, images, environment); !rotated) {
    complain(base::wrap(rotated.error(), settings->vm));
    status = 1;
  }
  return status;
}

}  // namespace holdfast::host::command
