// SPDX-License-Identifier: MIT
#include "run/points.h"

#include <algorithm>

#include "base/duration.h"
#include "base/text.h"
#include "image/point_file.h"
#include "point/kept_chain.h"
#include "point/reality.h"
#include "point/tree.h"
#include "repository/paths.h"
#include "run/channel.h"
#include "run/point_images.h"
#include "run/resumption.h"
#include "run/state.h"
#include "snapshot/btrfs/subvolume.h"
#include "snapshot/btrfs/subvolume_point.h"
#include "snapshot/internal/memory_jobs.h"
#include "snapshot/journal.h"

namespace holdfast::host::run {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Result;
using point::Point;
using point::Revert;
using point::State;
using snapshot::PointImages;

namespace {

Result<void> remove_states(const Point& point, PointImages& disks) {
  for (const point::PointDisk& disk : point.disks) {
    auto removed = disks.remove(disk.chain.front().path, name_in_images(point));
    if (!removed) return removed;
  }
  return {};
}

Result<void> apply_to_all(const Point& point, PointImages& disks) {
  for (const point::PointDisk& disk : point.disks) {
    auto applied = disks.apply(disk.chain.front().path, name_in_images(point));
    if (!applied) return applied;
  }
  return {};
}

// Names that QEMU has needed, and needs no more.
Result<void> tidy_names(const config::Settings& settings, image::QemuImg& images,
                        qmp::Client* monitor, point::Points& points) {
  if (points.images.empty()) return {};
  auto disks = make_keep_images(settings, images, monitor, points);
  std::set<std::string> left;
  for (const std::string& path : points.images) {
    const auto tidy = disks->tidy_names(path);
    if (!tidy) return tidy.error();
    if (!*tidy || !points.points.empty()) left.insert(path);
  }
  if (left == points.images) return {};
  points.images = std::move(left);
  return points_of(settings).save(points);
}

// Before anything is begun that could be neither finished nor undone.
Result<void> check_may_remove(const Point& point) {
  return point.method == point::kBtrfs ? snapshot::check_administer() : Result<void>();
}

Error half_reverted(const config::Settings& settings, const std::string& to) {
  return Error(ErrorCode::kRefused, "a revert of '" + settings.vm + "' to '" + to +
                                        "' was interrupted, and the machine runs: its disks may "
                                        "be of two times")
      .with_hint("shut it down, then: holdfast recover " + settings.vm);
}

// As far as it was begun; one that is not done is told of.
Result<std::vector<std::string>> finish_resumed(const config::Settings& settings,
                                                qmp::Client& monitor, point::Points& points,
                                                const point::Store& store) {
  const std::string to = points.revert->to;
  const auto finished = finish_resumption(settings, monitor, points, store);
  if (!finished) return finished.error();
  if (!finished->reverted) {
    return std::vector<std::string>{"gave up the revert to '" + to + "': " + finished->why_not};
  }
  std::vector<std::string> done{"finished the revert to '" + to + "'"};
  if (!finished->woken.unthawed.empty()) {
    done.push_back("its guest may be frozen: " + finished->woken.unthawed);
  } else if (!finished->woken.clock_unset.empty()) {
    done.push_back("its guest's clock is not set: " + finished->woken.clock_unset);
  }
  return done;
}

// Of points that were being taken: QEMU may still be at work, and keeps the job in any case.
Result<void> end_save_jobs(const config::Settings& settings, qmp::Client& monitor,
                           const point::Points& points) {
  for (const Point& point : points.points) {
    if (!point.memory || point.state == State::kKept) continue;
    const auto ended =
        snapshot::finish_job(monitor, snapshot::save_job(point::snapshot_name(point.id)),
                             Deadline::in(settings.memory_timeout + settings.qmp_timeout));
    // Whether it went well does not matter any more.
    if (!ended && ended.error().code() != ErrorCode::kRefused) return ended.error();
  }
  return {};
}

}  // namespace

point::Store points_of(const config::Settings& settings) {
  return {settings.state_directory, settings.vm};
}

Result<std::vector<std::string>> finish_points(const config::Settings& settings,
                                               image::QemuImg& images, qmp::Client* monitor) {
  std::vector<std::string> done;
  const point::Store store = points_of(settings);
  auto points = store.load();
  if (!points) return std::move(points).error();
  if (!points->unfinished()) {
    if (auto tidied = tidy_names(settings, images, monitor, *points); !tidied) {
      return std::move(tidied).error();
    }
    return done;
  }
  if (points->revert && points->revert->resume && monitor != nullptr &&
      points->revert->phase != Revert::Phase::kSaving) {
    auto lines = finish_resumed(settings, *monitor, *points, store);
    if (!lines) return lines;
    done = std::move(*lines);
  }
  if (monitor != nullptr) {
    if (auto ended = end_save_jobs(settings, *monitor, *points); !ended) {
      return std::move(ended).error();
    }
  }
  const bool applying = points->revert && points->revert->phase == Revert::Phase::kApplying;
  if (applying && monitor != nullptr) return half_reverted(settings, points->revert->to);
  auto disks = make_point_images(settings, images, monitor, *points);
  if (!disks) return std::move(disks).error();
  if (applying) {
    const std::string to = points->revert->to;
    if (auto applied = apply_to_all(*points->find(to), **disks); !applied) {
      return base::wrap(std::move(applied).error(),
                        "unable to finish the revert of '" + settings.vm + "' to '" + to + "'");
    }
    points->current = to;
    done.push_back("finished the revert to '" + to + "'");
  }
  // (In phase kWaking of a machine that is off: it was back, and has ended since.)
  points->revert.reset();
  std::vector<Point> unfinished;
  std::copy_if(points->points.begin(), points->points.end(), std::back_inserter(unfinished),
               [](const Point& point) { return point.state != State::kKept; });
  for (const Point& point : unfinished) {
    if (auto removed = remove_states(point, **disks); !removed) {
      return base::wrap(std::move(removed).error(),
                        "unable to remove the unfinished restore point '" + point.id + "'");
    }
    point::take_out(*points, point.id);
    done.push_back("removed the unfinished restore point '" + point.id + "'");
  }
  if (auto saved = store.save(*points); !saved) return std::move(saved).error();
  return done;
}

Result<bool> leave_journal_to_points(const config::Settings& settings) {
  const snapshot::JournalFile file(journal_path(settings));
  const auto journal = file.load();
  if (!journal) return journal.error();
  if (!*journal || !(*journal)->disks.empty() || (*journal)->snapshots.empty()) return false;
  const auto points = points_of(settings).load();
  if (!points) return points.error();
  std::set<std::string> unfinished;
  for (const Point& point : points->points) {
    if (point.state == State::kKept) continue;
    for (const point::PointSnapshot& snapshot : point.snapshots)
      unfinished.insert(snapshot.path);
  }
  const auto& snapshots = (*journal)->snapshots;
  const bool theirs = std::all_of(snapshots.begin(), snapshots.end(), [&](const auto& snapshot) {
    return unfinished.contains(snapshot.path);
  });
  if (!theirs) return false;
  if (auto removed = file.remove(); !removed) return std::move(removed).error();
  return true;
}

std::set<std::string> open_images_of(const qmp::BlockGraph& graph) {
  std::set<std::string> paths;
  for (const qmp::Disk& disk : graph.disks) {
    for (const qmp::ImageLayer& layer : disk.chain)
      if (layer.format == "qcow2") paths.insert(layer.path);
  }
  return paths;
}

Result<std::optional<qmp::Client>> monitor_if_running(const config::Settings& settings,
                                                      const std::stop_token& stop) {
  auto monitor =
      qmp::Client::connect(monitor_endpoint(settings), Deadline::in(settings.qmp_timeout), stop);
  if (monitor) return std::optional<qmp::Client>(std::move(*monitor));
  if (monitor.error().code() == ErrorCode::kUnreachable) return std::optional<qmp::Client>();
  return std::move(monitor).error();
}

Points::Points(const config::Settings& settings, image::QemuImg& images, repository::Lock lock)
    : settings_(settings), images_(images), lock_(std::move(lock)), store_(points_of(settings)) {}

Result<std::unique_ptr<Points>> Points::open(const config::Settings& settings,
                                             image::QemuImg& images, const std::stop_token& stop) {
  auto lock = lock_machine(settings);
  if (!lock) return std::move(lock).error();
  std::unique_ptr<Points> points(new Points(settings, images, std::move(*lock)));
  if (auto reached = points->reach(stop); !reached) return std::move(reached).error();
  return points;
}

Result<void> Points::reach(const std::stop_token& stop) {
  auto monitor = monitor_if_running(settings_, stop);
  if (!monitor) return std::move(monitor).error();
  monitor_ = std::move(*monitor);
  if (!monitor_) {
    if (auto left = leave_journal_to_points(settings_); !left) return std::move(left).error();
  }
  // Its overlays hold what the guest wrote last.
  const auto leftover = snapshot::JournalFile(journal_path(settings_)).load();
  if (!leftover) return leftover.error();
  if (*leftover) {
    return Error(ErrorCode::kBusy, "an interrupted run of '" + settings_.vm + "' is not cleared up")
        .with_hint("holdfast recover " + settings_.vm);
  }
  auto done = finish_points(settings_, images_, monitor_ ? &*monitor_ : nullptr);
  if (!done) return std::move(done).error();
  done_ = std::move(*done);
  auto points = store_.load();
  if (!points) return std::move(points).error();
  points_ = std::move(*points);
  if (!monitor_) {
    for (const Point& point : points_.points) {
      top_images_.clear();
      for (const point::PointDisk& disk : point.disks)
        if (disk.chain.front().format == "qcow2") top_images_.insert(disk.chain.front().path);
    }
    return {};
  }
  const auto graph = read_graph(settings_, *monitor_);
  if (!graph) return graph.error();
  open_images_ = open_images_of(*graph);
  for (const qmp::Disk& disk : graph->disks) {
    const qmp::ImageLayer& top = disk.chain.front();
    if (top.format == "qcow2") top_images_.insert(image::image_of(top.path));
  }
  return {};
}

Result<void> Points::remove(const std::string& id) {
  Point& point = *points_.find(id);
  if (auto able = check_may_remove(point); !able) return able;
  point.state = State::kRemoving;
  if (auto saved = save(); !saved) return saved;
  auto disks = make_disks();
  if (!disks) return std::move(disks).error();
  if (auto removed = remove_states(point, **disks); !removed) return removed;
  point::take_out(points_, id);
  return save();
}

Result<std::unique_ptr<PointImages>> Points::make_disks() {
  return make_point_images(settings_, images_, monitor_ ? &*monitor_ : nullptr, points_);
}

Result<void> Points::remove_foreign(const std::string& name,
                                    const std::vector<std::string>& paths) {
  auto disks = make_internal_images(settings_, images_, monitor_ ? &*monitor_ : nullptr);
  if (!disks) return std::move(disks).error();
  for (const std::string& path : paths) {
    if (auto removed = (*disks)->remove(path, name); !removed) return removed;
  }
  return {};
}

Result<std::vector<std::string>> Points::flatten() {
  if (top_images_.empty()) {
    return Error(ErrorCode::kNotFound,
                 "'" + settings_.vm + "' has no image that could be flattened")
        .with_hint(runs() ? "none of its disks is a qcow2 image"
                          : "the images of a machine that is off are those of its restore points");
  }
  for (const std::string& path : top_images_) {
    const auto info = images_.info(path, "qcow2", image::QemuImg::Use::kShared,
                                   Deadline::in(settings_.qmp_timeout));
    if (!info) return info.error();
    if (info->snapshots.empty()) continue;
    return Error(ErrorCode::kUnsupported, "unable to flatten '" + base::printable(path) +
                                              "': it has internal snapshots, which rest on what is "
                                              "below it");
  }
  auto disks = make_keep_images(settings_, images_, monitor_ ? &*monitor_ : nullptr, points_);
  for (const std::string& path : top_images_) {
    if (auto flat = disks->flatten(path); !flat) return std::move(flat).error();
  }
  return std::vector<std::string>(top_images_.begin(), top_images_.end());
}

// A state is worth nothing on another backing file.
Result<void> Points::check_below(const Point& target) {
  for (const point::PointDisk& disk : target.disks) {
    auto same = point::check_below(target, disk, images_, Deadline::in(settings_.settle_timeout));
    if (!same) return base::wrap(std::move(same).error(), "disk '" + disk.name + "'");
  }
  return {};
}

Result<void> Points::check_revert(const Point& target) {
  if (runs()) {
    return Error(ErrorCode::kRefused,
                 "'" + settings_.vm + "' runs: disks that it has open cannot be put back")
        .with_hint(target.memory ? "--resume puts its memory back as well; or shut it down first"
                                 : "shut it down, revert, and start it again");
  }
  if (auto able = check_may_remove(target); !able) return able;
  if (auto same = check_below(target); !same) return same;
  auto disks = make_disks();
  if (!disks) return std::move(disks).error();
  for (const point::PointDisk& disk : target.disks) {
    auto good = (*disks)->check_apply(disk.chain.front().path, name_in_images(target));
    if (!good) return base::wrap(std::move(good).error(), "disk '" + disk.name + "'");
  }
  return {};
}

Result<Point> Points::present_point(const Point& target) {
  if (points_.points.size() >= point::kMostPoints) {
    return Error(ErrorCode::kTooLarge, "there is no place for one more restore point")
        .with_hint("holdfast snapshot prune " + settings_.vm + ", or --discard");
  }
  const auto now = std::chrono::system_clock::now();
  auto id = repository::make_backup_id(now);
  if (!id) return std::move(id).error();
  return Point{.id = std::move(*id),
               .label = "before the revert to " + target.id,
               .method = target.method,
               .parent = points_.current,
               .time = base::format_time(now),
               .disks = target.disks};
}

Result<void> Points::save_present(const Point& target) {
  auto made_up = present_point(target);
  if (!made_up) return std::move(made_up).error();
  Point present = std::move(*made_up);
  const std::string id = present.id;
  if (target.method != point::kInternal) {
    for (point::PointDisk& disk : present.disks) {
      auto chain = point::present_chain(points_, disk);
      if (!chain) return base::wrap(std::move(chain).error(), "disk '" + disk.name + "'");
      disk.chain = std::move(*chain);
    }
  }
  for (const point::PointSnapshot& snapshot : target.snapshots) {
    present.snapshots.push_back(
        {snapshot.source, snapshot::point_place(snapshot.source, settings_.vm, id)});
  }
  present.evidence["evidence"] = {{"reasons", {"the machine was off"}}};
  points_.revert->saved = id;
  points_.points.push_back(std::move(present));
  if (auto saved = save(); !saved) return saved;
  auto disks = make_disks();
  if (!disks) return std::move(disks).error();
  for (const point::PointDisk& disk : points_.points.back().disks) {
    auto made = (*disks)->create(disk.chain.front().path, name_in_images(points_.points.back()));
    if (made) continue;
    points_.revert.reset();
    if (auto removed = remove(id); !removed) {
      return std::move(made).error().also(std::move(removed).error());
    }
    return made;
  }
  points_.points.back().state = State::kKept;
  return {};
}

// Back to what was there, if that was kept.
Error Points::after_failed_apply(Error error) {
  const std::string saved = points_.revert->saved;
  auto disks = make_disks();
  if (!disks) return std::move(error).also(std::move(disks).error());
  const auto undone = saved.empty() ? Result<void>(Error(ErrorCode::kRefused, "nothing was kept"))
                                    : apply_to_all(*points_.find(saved), **disks);
  if (!undone) {
    return base::wrap(std::move(error), "the revert is not done, and the disks may be of two times")
        .with_hint("do not start the machine; to try again: holdfast recover " + settings_.vm);
  }
  points_.revert.reset();
  if (auto removed = remove(saved); !removed) {
    return std::move(error).also(std::move(removed).error());
  }
  return base::wrap(std::move(error), "the revert is not done, and the disks are as they were");
}

Result<std::string> Points::revert(const std::string& id, bool discard) {
  const Point target = *points_.find(id);
  if (auto good = check_revert(target); !good) return std::move(good).error();
  points_.revert = Revert{.to = id, .saved = {}};
  if (!discard) {
    if (auto saved = save_present(target); !saved) return std::move(saved).error();
  }
  const std::string kept = points_.revert->saved;
  points_.revert->phase = Revert::Phase::kApplying;
  if (auto saved = save(); !saved) return std::move(saved).error();
  auto disks = make_disks();
  if (!disks) return std::move(disks).error();
  if (auto applied = apply_to_all(target, **disks); !applied) {
    return after_failed_apply(std::move(applied).error());
  }
  points_.current = id;
  points_.revert.reset();
  if (auto saved = save(); !saved) return std::move(saved).error();
  return kept;
}

}  // namespace holdfast::host::run
