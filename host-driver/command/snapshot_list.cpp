// SPDX-License-Identifier: MIT
#include <algorithm>
#include <iostream>
#include <map>
#include <set>

#include "base/duration.h"
#include "base/text.h"
#include "command/snapshot.h"
#include "point/reality.h"
#include "point/tree.h"
#include "run/channel.h"
#include "snapshot/btrfs/subvolume.h"
#include "ui/table.h"

namespace holdfast::host::command {

using base::Deadline;
using base::Json;
using base::Result;
using point::Branch;
using point::ForeignSnapshot;
using point::Point;

namespace {

struct Seen {
  point::Points points;
  point::Images images;
  // In bytes, by their ids: of those of which it is known.
  std::map<std::string, std::uint64_t> space;
  // Something of a listed machine that cannot be asked is no reason to list nothing.
  std::vector<std::string> notes;
};

// The images that the machine has open now: others than ours may have made snapshots there.
std::set<std::string> open_images(const config::Settings& settings, Seen& seen,
                                  Environment& environment) {
  std::set<std::string> paths;
  if (settings.qmp.empty()) return paths;
  auto monitor = run::monitor_if_running(settings, environment.stop);
  if (!monitor) {
    seen.notes.push_back(monitor.error().one_line());
    return paths;
  }
  if (!*monitor) return paths;
  const auto graph = run::read_graph(settings, **monitor);
  if (!graph) {
    seen.notes.push_back(graph.error().one_line());
    return paths;
  }
  return run::open_images_of(*graph);
}

// What a point by the method `btrfs` alone keeps from being free.
std::map<std::string, std::uint64_t> look_at_space(const point::Points& points, Deadline deadline,
                                                   Environment& environment) {
  std::map<std::string, std::uint64_t> space;
  for (const Point& point : points.points) {
    std::uint64_t bytes = 0;
    bool known = !point.snapshots.empty();
    for (const point::PointSnapshot& snapshot : point.snapshots) {
      if (!snapshot::is_subvolume(snapshot.path)) {
        known = false;
        break;
      }
      const auto own = snapshot::exclusive_bytes(environment.processes, snapshot.path, deadline);
      // Nobody counts: not for this one, and for no other.
      if (!own) return space;
      bytes += *own;
    }
    if (known) space[point.id] = bytes;
  }
  return space;
}

Result<Seen> look(const config::Settings& settings, Environment& environment) {
  Seen seen;
  auto points = run::points_of(settings).load();
  if (!points) return std::move(points).error();
  seen.points = std::move(*points);
  const std::set<std::string> others = open_images(settings, seen, environment);
  image::QemuImg images(environment.processes, settings.qemu_img);
  seen.images =
      point::look_at_images(seen.points, others, images, Deadline::in(settings.settle_timeout));
  seen.space = look_at_space(seen.points, Deadline::in(settings.settle_timeout), environment);
  return seen;
}

// "kept", or what else there is to say in a word.
std::string state_of(const Point& point, const std::vector<std::string>& problems) {
  if (point.state != point::State::kKept) return "unfinished";
  if (problems.empty()) return "kept";
  return problems.size() == point.disks.size() ? "missing" : "incomplete";
}

std::string time_of(const ForeignSnapshot& snapshot) {
  return base::format_time(base::WallTime(std::chrono::seconds(snapshot.time)));
}

Json as_json(const std::string& vm, const Seen& seen) {
  Json list = Json::array();
  for (const Branch& branch : point::as_tree(seen.points)) {
    const auto problems = point::problems_of(*branch.point, seen.images);
    Json one = point::to_json(*branch.point);
    one["state"] = state_of(*branch.point, problems);
    one["depth"] = branch.depth;
    one["current"] = branch.point->id == seen.points.current;
    one["problems"] = problems;
    if (branch.point->method == point::kBtrfs) {
      const auto space = seen.space.find(branch.point->id);
      one["exclusive_bytes"] = space == seen.space.end() ? Json() : Json(space->second);
    }
    list.push_back(std::move(one));
  }
  Json foreign = Json::array();
  for (const ForeignSnapshot& snapshot : point::foreign_in(seen.points, seen.images)) {
    foreign.push_back({{"name", base::printable(snapshot.name)},
                       {"time", time_of(snapshot)},
                       {"memory", snapshot.has_memory},
                       {"images", snapshot.paths}});
  }
  return {{"vm", vm}, {"points", std::move(list)}, {"foreign", std::move(foreign)}};
}

void print(const Seen& seen) {
  // What nobody counts is left out, and not guessed.
  const bool with_space = !seen.space.empty();
  const bool with_memory = std::any_of(seen.points.points.begin(), seen.points.points.end(),
                                       [](const Point& point) { return point.memory.has_value(); });
  const auto row = [&](ui::Row words, const std::string& space, const std::string& memory,
                       const std::string& label) {
    if (with_space) words.push_back(space);
    if (with_memory) words.push_back(memory);
    words.push_back(label);
    return words;
  };
  std::vector<ui::Row> rows{
      row({"POINT", "TIME", "LEVEL", "METHOD", "DISKS", "STATE"}, "SPACE", "MEMORY", "LABEL")};
  for (const Branch& branch : point::as_tree(seen.points)) {
    const Point& point = *branch.point;
    const bool current = point.id == seen.points.current;
    const auto space = seen.space.find(point.id);
    rows.push_back(row({std::string(2 * branch.depth, ' ') + (current ? "* " : "  ") + point.id,
                        point.time, std::string(repository::name_of(point.level)), point.method,
                        std::to_string(point.disks.size()),
                        state_of(point, point::problems_of(point, seen.images))},
                       space == seen.space.end() ? "-" : base::format_bytes(space->second),
                       point.memory ? base::format_bytes(point.memory->bytes) : "-", point.label));
  }
  for (const ForeignSnapshot& snapshot : point::foreign_in(seen.points, seen.images)) {
    rows.push_back(row({"  " + base::printable(snapshot.name, 64), time_of(snapshot), "-",
                        "foreign", std::to_string(snapshot.paths.size()), "-"},
                       "-", "-", snapshot.has_memory ? "with memory" : ""));
  }
  std::cout << ui::format_table(rows);
}

}  // namespace

Result<int> snapshot_list(const Invocation& invocation, Environment& environment) {
  const auto settings = snapshot_settings(invocation, Needs::kNothing);
  if (!settings) return settings.error();
  const auto seen = look(*settings, environment);
  if (!seen) return seen.error();
  if (invocation.json) {
    std::cout << base::to_document(as_json(settings->vm, *seen));
  } else {
    print(*seen);
  }
  if (!invocation.quiet) {
    for (const std::string& note : seen->notes)
      say(settings->vm + ": " + note + ", continuing: what others have made may be missing here");
  }
  int status = 0;
  if (seen->points.unfinished()) {
    complain(base::Error(base::ErrorCode::kBusy,
                         settings->vm + ": something is unfinished, or at work just now")
                 .with_hint("holdfast recover " + settings->vm));
    status = 1;
  }
  for (const Point& point : seen->points.points) {
    if (point.state != point::State::kKept) continue;
    for (const std::string& problem : point::problems_of(point, seen->images)) {
      complain({base::ErrorCode::kCorrupt, settings->vm + "/" + point.id + ": " + problem});
      status = 1;
    }
  }
  return status;
}

}  // namespace holdfast::host::command
