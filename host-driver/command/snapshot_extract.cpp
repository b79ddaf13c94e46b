// SPDX-License-Identifier: MIT
#include <algorithm>
#include <iostream>

#include "base/text.h"
#include "command/fresh_files.h"
#include "command/partial_file.h"
#include "command/snapshot.h"
#include "point/kept_chain.h"
#include "point/reality.h"
#include "repository/paths.h"
#include "run/state.h"
#include "ui/progress_bar.h"

namespace holdfast::host::command {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;
using point::Point;
using point::PointDisk;

namespace {

Result<std::vector<PointDisk>> chosen_disks(const Point& point, const Invocation& invocation) {
  if (invocation.disks.empty()) return point.disks;
  std::vector<PointDisk> disks;
  for (const std::string& name : invocation.disks) {
    const auto found = std::find_if(point.disks.begin(), point.disks.end(),
                                    [&](const PointDisk& disk) { return disk.name == name; });
    if (found == point.disks.end()) {
      return Error(ErrorCode::kNotFound, "restore point '" + point.id + "' has no disk '" +
                                             base::printable(name, 64) + "'");
    }
    disks.push_back(*found);
  }
  return disks;
}

// Before anything is written, of all disks.
Result<void> check_disk(const PointDisk& disk, const Point& point, const std::string& target,
                        const point::Images& seen, image::QemuImg& images, Deadline deadline) {
  if (auto absent = require_absent(target); !absent) return absent;
  if (const auto problem = point::problem_of(point, disk, seen); problem) {
    return Error(ErrorCode::kCorrupt, *problem);
  }
  return point::check_below(point, disk, images, deadline);
}

}  // namespace

Result<int> snapshot_extract(const Invocation& invocation, Environment& environment) {
  const auto settings = snapshot_settings(invocation, Needs::kNothing);
  if (!settings) return settings.error();
  const std::string& vm = settings->vm;
  // Held throughout: nobody of us takes the point away meanwhile, or changes what it stands on.
  const auto lock = run::lock_machine(*settings);
  if (!lock) return lock.error();
  const auto points = run::points_of(*settings).load();
  if (!points) return points.error();
  const auto found = find_point(*points, vm, invocation.arguments[2]);
  if (!found) return found.error();
  const Point& point = **found;
  const auto disks = chosen_disks(point, invocation);
  if (!disks) return disks.error();
  const auto target_of = [&](const PointDisk& disk) {
    return invocation.to + "/" + disk.name + "." + invocation.format;
  };
  image::QemuImg images(environment.processes, settings->qemu_img);
  const Deadline deadline = Deadline::in(settings->copy_timeout);
  const point::Images seen = point::look_at_images(*points, {}, images, deadline);
  for (const PointDisk& disk : *disks) {
    auto good = check_disk(disk, point, target_of(disk), seen, images, deadline);
    if (!good) return base::wrap(std::move(good).error(), "unable to extract '" + point.id + "'");
  }

  ui::ProgressBar bar(!invocation.quiet && ui::terminal_attached());
  auto fresh = FreshFiles::in(invocation.to);
  if (!fresh) return std::move(fresh).error();
  Json written = Json::array();
  for (const PointDisk& disk : *disks) {
    const auto layers = point::layers_of(point, disk);
    if (!layers) return layers.error();
    const auto source = image::source_of(*layers);
    if (!source) return source.error();
    auto partial = PartialFile::of(target_of(disk));
    if (!partial) return std::move(partial).error();
    const auto show = [&](double percent) { bar.update(vm + ": writing " + disk.name, percent); };
    auto done = point.method != point::kInternal
                    ? images.convert(*source, partial->path(), invocation.format,
                                     Deadline::in(settings->copy_timeout), environment.stop, show)
                    : images.extract(*source, point::snapshot_name(point.id), partial->path(),
                                     invocation.format, Deadline::in(settings->copy_timeout),
                                     environment.stop, show);
    if (!done) return std::move(done).error();
    if (auto kept = partial->keep(); !kept) return std::move(kept).error();
    if (auto added = fresh->add(target_of(disk)); !added) return std::move(added).error();
    written.push_back({{"disk", disk.name},
                       {"path", target_of(disk)},
                       {"format", invocation.format},
                       {"virtual_size", disk.virtual_size}});
  }
  if (auto flushed = repository::flush_directory(invocation.to); !flushed) {
    return std::move(flushed).error();
  }
  fresh->keep();
  bar.clear();
  if (invocation.json) {
    std::cout << base::to_document({{"vm", vm}, {"id", point.id}, {"images", std::move(written)}});
  } else if (!invocation.quiet) {
    for (const Json& image : written)
      std::cout << vm << ": wrote " << base::printable(image.at("path").get<std::string>())
                << std::endl;
  }
  return 0;
}

}  // namespace holdfast::host::command
