// SPDX-License-Identifier: MIT
#include <algorithm>
#include <iostream>

#include "base/text.h"
#include "command/retention.h"
#include "command/snapshot.h"
#include "point/reality.h"
#include "repository/retention.h"
#include "ui/table.h"

namespace holdfast::host::command {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;
using point::Point;
using point::Points;

namespace {

// The images of a machine that is off are those that its points name.
point::Images look(const Points& points, const config::Settings& settings, image::QemuImg& images) {
  return point::look_at_images(points, {}, images, Deadline::in(settings.settle_timeout));
}

Result<std::vector<std::string>> ids_of(const Points& points, const Invocation& invocation) {
  std::vector<std::string> ids;
  for (std::size_t i = 2; i < invocation.arguments.size(); ++i) {
    const auto point = find_point(points, invocation.arguments[1], invocation.arguments[i]);
    if (!point) return point.error();
    if (std::find(ids.begin(), ids.end(), (*point)->id) == ids.end()) ids.push_back((*point)->id);
  }
  return ids;
}

Result<std::vector<point::ForeignSnapshot>> foreign_named(const run::Points& points,
                                                          const config::Settings& settings,
                                                          image::QemuImg& images,
                                                          const Invocation& invocation) {
  const auto all = point::foreign_in(
      points.points(), point::look_at_images(points.points(), points.open_images(), images,
                                             Deadline::in(settings.settle_timeout)));
  std::vector<point::ForeignSnapshot> named;
  for (std::size_t i = 2; i < invocation.arguments.size(); ++i) {
    const std::string& name = invocation.arguments[i];
    const auto found = std::find_if(all.begin(), all.end(), [&](const point::ForeignSnapshot& one) {
      return one.name == name;
    });
    if (found == all.end()) {
      return Error(ErrorCode::kNotFound, "'" + settings.vm + "' has no foreign snapshot '" +
                                             base::printable(name, 64) + "'")
          .with_hint("holdfast snapshot list " + settings.vm +
                     "; restore points go without "
                     "--foreign");
    }
    named.push_back(*found);
  }
  return named;
}

void tell(const std::string& vm, const Invocation& invocation,
          const std::vector<std::string>& ids) {
  if (invocation.json) {
    std::cout << base::to_document({{"vm", vm}, {"removed", ids}});
  } else if (!invocation.quiet) {
    for (const std::string& id : ids)
      std::cout << vm << ": removed '" << base::printable(id, 64) << "'" << std::endl;
  }
}

void print_rotated(const std::string& vm, const Rotated& rotated, bool dry_run) {
  std::vector<ui::Row> rows{{"POINT", dry_run ? "WOULD" : "DID", "BECAUSE"}};
  for (const Rotated::One& one : rotated.points) {
    std::string because;
    for (const std::string& reason : one.reasons)
      because += (because.empty() ? "" : ", ") + reason;
    rows.push_back({vm + "/" + one.id, one.reasons.empty() ? "remove" : "keep",
                    because.empty() ? "no rule keeps it" : because});
  }
  std::cout << ui::format_table(rows);
}

// A machine that goes on and does not do all that it should is told of as an error.
Result<int> resume(run::Points& points, const config::Settings& settings, const std::string& id,
                   const Invocation& invocation) {
  const auto resumed = points.resume(id, invocation.discard);
  if (!resumed) return resumed.error();
  const auto& [saved, woken] = *resumed;
  if (!woken.unthawed.empty()) {
    return Error(ErrorCode::kGuest, "'" + settings.vm + "' goes on at '" + id +
                                        "', but its guest may be frozen: " + woken.unthawed)
        .with_hint("holdfast thaw " + settings.vm + ", and set its clock");
  }
  if (!woken.clock_unset.empty()) {
    complain(Error(ErrorCode::kGuest,
                   "the clock of the guest is not set, continuing: it shows the time of the "
                   "restore point: " +
                       woken.clock_unset));
  }
  if (invocation.json) {
    std::cout << base::to_document(
        {{"vm", settings.vm},
         {"reverted_to", id},
         {"saved", saved.empty() ? Json() : Json(saved)},
         {"resumed",
          {{"clock_not_set", woken.clock_unset.empty() ? Json() : Json(woken.clock_unset)}}}});
  } else if (!invocation.quiet) {
    std::cout << settings.vm << ": goes on at '" << id << "'"
              << (saved.empty() ? "" : "; what was there is kept as '" + saved + "'") << std::endl;
  }
  return 0;
}

}  // namespace

Result<int> snapshot_revert(const Invocation& invocation, Environment& environment) {
  const auto settings = snapshot_settings(invocation, Needs::kMonitor);
  if (!settings) return settings.error();
  image::QemuImg images(environment.processes, settings->qemu_img);
  auto points = open_points(*settings, images, invocation.quiet, environment);
  if (!points) return std::move(points).error();
  const auto point = find_point((*points)->points(), settings->vm, invocation.arguments[2]);
  if (!point) return point.error();
  const std::string id = (*point)->id;
  if (invocation.resume) return resume(**points, *settings, id, invocation);
  const auto saved = (*points)->revert(id, invocation.discard);
  if (!saved) return saved.error();
  if (invocation.json) {
    std::cout << base::to_document({{"vm", settings->vm},
                                    {"reverted_to", id},
                                    {"saved", saved->empty() ? Json() : Json(*saved)}});
  } else if (!invocation.quiet) {
    std::cout << settings->vm << ": reverted to '" << id << "'"
              << (saved->empty() ? "" : "; what was there is kept as '" + *saved + "'")
              << std::endl;
  }
  return 0;
}

Result<int> snapshot_delete(const Invocation& invocation, Environment& environment) {
  const auto settings = snapshot_settings(invocation, Needs::kMonitor);
  if (!settings) return settings.error();
  image::QemuImg images(environment.processes, settings->qemu_img);
  auto opened = open_points(*settings, images, invocation.quiet, environment);
  if (!opened) return std::move(opened).error();
  run::Points& points = **opened;
  std::vector<std::string> removed;
  if (invocation.foreign) {
    const auto named = foreign_named(points, *settings, images, invocation);
    if (!named) return named.error();
    for (const point::ForeignSnapshot& one : *named) {
      if (auto done = points.remove_foreign(one.name, one.paths); !done) {
        return std::move(done).error();
      }
      removed.push_back(base::printable(one.name));
    }
  } else {
    const auto ids = ids_of(points.points(), invocation);
    if (!ids) return ids.error();
    for (const std::string& id : *ids) {
      if (auto done = points.remove(id); !done) return std::move(done).error();
      removed.push_back(id);
    }
  }
  tell(settings->vm, invocation, removed);
  return 0;
}

Result<Rotated> rotate(run::Points& points, const config::Settings& settings,
                       image::QemuImg& images, bool dry_run) {
  const repository::Rules rules = rules_of(settings.snapshot_keep);
  if (!rules.any()) {
    return Error(ErrorCode::kConfiguration,
                 "no rule says which restore points of '" + settings.vm + "' to keep")
        .with_hint("set snapshot-keep-last, snapshot-keep-daily or another of these keys");
  }
  const point::Images found = look(points.points(), settings, images);
  Rotated rotated;
  std::vector<repository::Candidate> candidates;
  for (const Point& point : points.points().points) {
    const auto problems = point::problems_of(point, found);
    if (problems.empty()) {
      // None stands on another as far as its content goes.
      candidates.push_back({.id = point.id, .parent = {}});
    } else {
      rotated.problems.push_back(
          Error(ErrorCode::kCorrupt, point.id + ": not removed: " + problems.front())
              .with_hint("holdfast snapshot delete " + settings.vm + " " + point.id));
    }
  }
  std::sort(candidates.begin(), candidates.end(),
            [](const auto& one, const auto& other) { return one.id < other.id; });
  for (repository::Decision& decision : repository::decide(candidates, {}, rules)) {
    Rotated::One one{decision.id, std::move(decision.reasons), false};
    if (one.reasons.empty() && !dry_run) {
      if (auto done = points.remove(one.id); !done) {
        rotated.problems.push_back(std::move(done).error());
        rotated.points.push_back(std::move(one));
        break;
      }
      one.removed = true;
    }
    rotated.points.push_back(std::move(one));
  }
  return rotated;
}

Result<int> snapshot_prune(const Invocation& invocation, Environment& environment) {
  const auto settings = snapshot_settings(invocation, Needs::kMonitor);
  if (!settings) return settings.error();
  image::QemuImg images(environment.processes, settings->qemu_img);
  auto points = open_points(*settings, images, invocation.quiet, environment);
  if (!points) return std::move(points).error();
  const auto rotated = rotate(**points, *settings, images, invocation.dry_run);
  if (!rotated) return rotated.error();
  if (invocation.json) {
    Json list = Json::array();
    for (const Rotated::One& one : rotated->points) {
      list.push_back({{"id", one.id},
                      {"keep", !one.reasons.empty()},
                      {"reasons", one.reasons},
                      {"removed", one.removed}});
    }
    std::cout << base::to_document(
        {{"vm", settings->vm}, {"dry_run", invocation.dry_run}, {"points", std::move(list)}});
  } else if (!invocation.quiet) {
    print_rotated(settings->vm, *rotated, invocation.dry_run);
  }
  for (const Error& problem : rotated->problems)
    complain(base::wrap(problem, settings->vm));
  return rotated->problems.empty() ? 0 : 1;
}

}  // namespace holdfast::host::command
