// SPDX-License-Identifier: MIT
#include "run/resumption.h"

#include <algorithm>

#include "base/file.h"
#include "base/look_until.h"
#include "base/text.h"
#include "image/point_file.h"
#include "run/channel.h"
#include "run/points.h"
#include "run/state.h"
#include "snapshot/checkpoint/migration.h"
#include "snapshot/machine_memory.h"
#include "snapshot/standstill.h"

namespace holdfast::host::run {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Json;
using base::Millis;
using base::Result;
using point::Point;
using point::Revert;

namespace {

constexpr Millis kAskAgain{100};
constexpr Millis kUnlocks{60000};

Deadline job_time(const config::Settings& settings) {
  return Deadline::in(settings.memory_timeout + settings.qmp_timeout);
}

Result<void> let_run(qmp::Client& monitor, Deadline deadline) {
  const auto runs = snapshot::is_running(monitor, deadline);
  if (!runs) return runs.error();
  if (*runs) return {};
  auto gone_on = monitor.execute("cont", Json::object(), deadline);
  if (!gone_on) return std::move(gone_on).error();
  return {};
}

Error of_two_times(const config::Settings& settings, const std::string& to) {
  return Error(ErrorCode::kRefused, "a revert of '" + settings.vm + "' to '" + to +
                                        "' was interrupted, and QEMU was started again: the disks "
                                        "may be of two times")
      .with_hint("end it, then: holdfast recover " + settings.vm +
                 ", which puts the disks back, without the memory");
}

Result<void> load_again(const config::Settings& settings, qmp::Client& monitor,
                        const Point& present) {
  const auto graph = read_graph(settings, monitor);
  if (!graph) return graph.error();
  const auto job = memory_job(present, *graph);
  if (!job) return job.error();
  if (auto begun = snapshot::begin_load(monitor, *job, job_time(settings)); !begun) return begun;
  const auto done = snapshot::finish_job(monitor, snapshot::load_job(job->tag), job_time(settings));
  if (!done) return done.error();
  return let_run(monitor, Deadline::in(settings.qmp_timeout));
}

// What QEMU could not load may be there in part: the machine stands still, and must not go on.
Result<Finished> go_back(const config::Settings& settings, qmp::Client& monitor,
                         point::Points& points, const point::Store& store, std::string why) {
  const std::string to = points.revert->to;
  const std::string saved = points.revert->saved;
  const Error error = Error(ErrorCode::kRefused, "unable to revert '" + settings.vm + "' to '" +
                                                     to + "', and the machine stands still: " + why)
                          .with_hint("end it, then: holdfast recover " + settings.vm +
                                     ", which puts the disks back, without the memory");
  if (saved.empty()) return error;
  if (auto loaded = load_again(settings, monitor, *points.find(saved)); !loaded) {
    return Error(error).also(std::move(loaded).error());
  }
  (void)snapshot::finish_job(monitor, snapshot::load_job(point::snapshot_name(to)),
                             job_time(settings));
  points.find(saved)->state = point::State::kRemoving;
  points.revert.reset();
  if (auto kept = store.save(points); !kept) return std::move(kept).error();
  return Finished{false, std::move(why), {}};
}

}  // namespace

Result<point::PointMemory> memory_to_keep(const config::Settings& settings, qmp::Client& monitor,
                                          const qmp::BlockGraph& graph) {
  const auto time = [&] { return Deadline::in(settings.qmp_timeout); };
  if (graph.disks.empty()) {
    return Error(ErrorCode::kNotFound, "the machine has no disk that could be kept");
  }
  if (auto able = snapshot::require_memory_jobs(monitor, time()); !able) {
    return std::move(able).error();
  }
  if (auto able = snapshot::Migration(monitor).check(time()); !able) return std::move(able).error();
  const auto bytes = snapshot::memory_of(monitor, time());
  if (!bytes) return bytes.error();
  const auto type =
      monitor.execute("qom-get", {{"path", "/machine"}, {"property", "type"}}, time());
  if (!type) return type.error();
  return point::PointMemory{.disk = graph.disks.front().name,
                            .bytes = *bytes,
                            .standstill_ms = 0,
                            .qemu = base::printable(monitor.version(), 40),
                            .machine = type->is_string()
                                           ? base::printable(type->get<std::string>(), 100)
                                           : std::string()};
}

Result<snapshot::MemoryJob> memory_job(const Point& point, const qmp::BlockGraph& graph) {
  snapshot::MemoryJob job{point::snapshot_name(point.id), {}, {}};
  const auto other = [&](const std::string& what) {
    return Error(ErrorCode::kRefused,
                 "the machine has other disks than when '" + point.id + "' was taken: " + what)
        .with_hint("its memory goes with those; without --resume the disks are put back");
  };
  for (const point::PointDisk& disk : point.disks) {
    const std::string& path = disk.chain.front().path;
    const auto found =
        std::find_if(graph.disks.begin(), graph.disks.end(), [&](const qmp::Disk& one) {
          return image::is_same_file(image::image_of(one.chain.front().path), path);
        });
    if (found == graph.disks.end()) return other(base::in_quotes(path) + " is none of them");
    job.nodes.push_back(found->node);
    if (disk.name == point.memory->disk) job.memory_node = found->node;
  }
  if (graph.disks.size() != point.disks.size()) return other("there are more of them now");
  return job;
}

// Field 22 of proc(5)'s stat, behind the name, which may contain anything.
std::string process_of(const qmp::Client& monitor) {
  const std::string process = std::to_string(monitor.peer());
  if (monitor.peer() <= 0) return {};
  const auto stat = base::read_file("/proc/" + process + "/stat", 4096);
  if (!stat) return {};
  std::size_t at = stat->rfind(')');
  for (int field = 2; field < 22 && at != std::string::npos; ++field)
    at = stat->find(' ', at + 1);
  if (at == std::string::npos) return {};
  return process + " since " + stat->substr(at + 1, stat->find(' ', at + 1) - at - 1);
}

Result<Finished> finish_resumption(const config::Settings& settings, qmp::Client& monitor,
                                   point::Points& points, const point::Store& store) {
  Revert& revert = *points.revert;
  const std::string id = snapshot::load_job(point::snapshot_name(revert.to));
  if (revert.phase == Revert::Phase::kApplying) {
    const auto job = snapshot::end_of(monitor, id, job_time(settings));
    if (!job) return job.error();
    if (!*job && (revert.process.empty() || revert.process != process_of(monitor))) {
      return of_two_times(settings, revert.to);
    }
    if (!*job) {
      if (!revert.saved.empty()) points.find(revert.saved)->state = point::State::kRemoving;
      points.revert.reset();
      if (auto kept = store.save(points); !kept) return std::move(kept).error();
      return Finished{false, "it had not begun", {}};
    }
    if ((*job)->error) return go_back(settings, monitor, points, store, *(*job)->error);
    revert.phase = Revert::Phase::kWaking;
    points.current = revert.to;
    if (auto kept = store.save(points); !kept) return std::move(kept).error();
  }
  if (auto done = snapshot::finish_job(monitor, id, job_time(settings)); !done) {
    return std::move(done).error();
  }
  if (auto runs = let_run(monitor, Deadline::in(settings.qmp_timeout)); !runs) {
    return std::move(runs).error();
  }
  Finished finished{true, {}, wake_guest(settings, {})};
  points.revert.reset();
  if (auto kept = store.save(points); !kept) return std::move(kept).error();
  return finished;
}

Result<void> finish_resumption_of(const config::Settings& settings, Deadline deadline) {
  Result<repository::Lock> lock = lock_machine(settings);
  // Until the driver, of which only the end was seen, is gone; then somebody else's.
  (void)base::look_until(deadline.earlier_of(Deadline::in(kUnlocks)), kAskAgain, [&] {
    if (!lock && lock.error().code() == ErrorCode::kLocked) lock = lock_machine(settings);
    return lock || lock.error().code() != ErrorCode::kLocked;
  });
  if (!lock) return std::move(lock).error();
  const point::Store store = points_of(settings);
  auto points = store.load();
  if (!points) return std::move(points).error();
  if (!points->revert || !points->revert->resume ||
      points->revert->phase == Revert::Phase::kSaving) {
    return {};
  }
  auto monitor = qmp::Client::connect(monitor_endpoint(settings), job_time(settings), {});
  if (!monitor) return std::move(monitor).error();
  auto finished = finish_resumption(settings, *monitor, *points, store);
  if (!finished) return std::move(finished).error();
  if (finished->woken.unthawed.empty()) return {};
  return Error(ErrorCode::kGuest, "the guest may be frozen: " + finished->woken.unthawed);
}

}  // namespace holdfast::host::run
