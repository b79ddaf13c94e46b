// SPDX-License-Identifier: MIT
#include "run/point_run.h"

#include "base/duration.h"
#include "base/text.h"
#include "image/point_file.h"
#include "repository/paths.h"
#include "run/channel.h"
#include "run/evidence_json.h"
#include "run/point_images.h"
#include "run/points.h"
#include "run/resumption.h"
#include "run/strategy_context.h"
#include "snapshot/btrfs/subvolume_point.h"
#include "snapshot/internal/internal_instant.h"
#include "snapshot/keep/keep_instant.h"
#include "snapshot/machine_memory.h"

namespace holdfast::host::run {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Result;
using point::Point;
using point::State;

namespace {

constexpr std::size_t kRandomDigits = 8;

// What was read of a disk, as far as a point needs it. QEMU may have the image by another name.
point::PointDisk point_disk(const qmp::Disk& disk) {
  point::PointDisk kept{disk.name, {}, disk.virtual_size};
  for (const qmp::ImageLayer& layer : disk.chain)
    kept.chain.push_back({layer.path, layer.format});
  kept.chain.front().path = image::image_of(kept.chain.front().path);
  return kept;
}

}  // namespace

PointRun::PointRun(const config::Settings& settings, std::string label, bool with_memory,
                   image::QemuImg& images, Observer& observer, std::stop_token stop)
    : settings_(settings),
      label_(std::move(label)),
      with_memory_(with_memory),
      images_(images),
      observer_(observer),
      stop_(std::move(stop)),
      machine_(settings, observer, stop_),
      store_(points_of(settings)) {}

Result<Point> PointRun::run() {
  observer_.step("preflight");
  if (auto ready = make_ready(); !ready) return std::move(ready).error();
  if (auto taken = take(); !taken) return undo(std::move(taken).error());
  Point& point = points_.points.back();
  point.level = machine_.verdict().level;
  point.evidence = {{"evidence", evidence_json(machine_.evidence(), machine_.verdict())},
                    {"window", window_json(machine_.evidence().window)}};
  point.state = State::kKept;
  points_.current = point.id;
  if (auto saved = store_.save(points_); !saved) return undo(std::move(saved).error());
  return point;
}

Result<void> PointRun::make_ready() {
  if (is_by_libvirt(settings_)) {
    return Error(ErrorCode::kUnsupported, "restore points of a machine of libvirt's are libvirt's")
        .with_hint("virsh snapshot-create-as; 'holdfast backup' does work through libvirt");
  }
  if (auto able = check_memory(); !able) return able;
  if (auto locked = machine_.lock(); !locked) return locked;
  if (auto connected = machine_.connect(); !connected) return connected;
  const auto id = repository::make_backup_id(std::chrono::system_clock::now());
  if (!id) return id.error();
  auto recovered = machine_.recover(context_of(*id));
  if (!recovered) return recovered;
  if (auto looked = machine_.look_at_disks(); !looked) return looked;
  return add_point(*id);
}

snapshot::StrategyContext PointRun::context_of(const std::string& id) {
  return strategy_context(settings_, machine_.monitor(), images_, machine_.journal(),
                          id.substr(id.size() - kRandomDigits));
}

Result<void> PointRun::check_memory() const {
  if (!with_memory_) return {};
  if (settings_.snapshot_method != point::kInternal) {
    return Error(ErrorCode::kUnsupported, "a restore point beside the images keeps the disks alone")
        .with_hint(
            "'snapshot-method = internal' keeps the memory too; or a backup by the method "
            "checkpoint");
  }
  if (settings_.memory != "live") return {};
  return Error(ErrorCode::kUnsupported,
               "a restore point's memory cannot be saved live: the machine stands still for it")
      .with_hint("'memory = auto', or a backup by the method checkpoint");
}

// Everything that can fail without a change fails before the store knows of the point.
Result<void> PointRun::add_point(const std::string& id) {
  auto points = store_.load();
  if (!points) return std::move(points).error();
  points_ = std::move(*points);
  if (points_.points.size() >= point::kMostPoints) {
    return Error(ErrorCode::kTooLarge, "'" + settings_.vm + "' has " +
                                           std::to_string(points_.points.size()) +
                                           " restore points, and no more are kept")
        .with_hint("holdfast snapshot prune " + settings_.vm);
  }
  // What the one has, the other would put out of its own reach.
  if (method_of(points_, settings_) != settings_.snapshot_method) {
    return Error(ErrorCode::kRefused, "'" + settings_.vm + "' has restore points by the method '" +
                                          method_of(points_, settings_) + "', and '" +
                                          settings_.snapshot_method + "' is configured")
        .with_hint("remove them first, or keep snapshot-method as it was");
  }
  Point point{.id = id,
              .label = label_,
              .method = settings_.snapshot_method,
              .parent = points_.current,
              .time = base::format_time(std::chrono::system_clock::now()),
              .disks = {}};
  for (const qmp::Disk& disk : machine_.graph().disks)
    point.disks.push_back(point_disk(disk));
  if (point.method == point::kOverlay) {
    for (const point::PointDisk& disk : point.disks)
      points_.images.insert(disk.chain.front().path);
  }
  points_.points.push_back(std::move(point));
  return {};
}

Result<void> PointRun::take() {
  const std::string& method = points_.points.back().method;
  auto taken = method == point::kOverlay ? take_beside()
               : method == point::kBtrfs ? take_subvolumes()
                                         : take_inside();
  if (!taken) return taken;
  if (auto read = machine_.read_record(); !read) return read;
  return machine_.judge();
}

Result<void> PointRun::take_inside() {
  snapshot::InternalInstant instant(machine_.monitor(),
                                    point::snapshot_name(points_.points.back().id));
  Point& point = points_.points.back();
  if (with_memory_) {
    auto memory = memory_to_keep(settings_, machine_.monitor(), machine_.graph());
    if (!memory) return std::move(memory).error();
    instant.keep_memory(snapshot::room_for_memory(memory->bytes), settings_.memory_timeout);
    point.memory = std::move(*memory);
  }
  auto fit = instant.check(machine_.graph().disks, images_, settings_.overlay_reserve,
                           Deadline::in(settings_.qmp_timeout));
  if (!fit) return fit;
  // The last write before the freeze: from here on the snapshots may be there.
  if (auto saved = store_.save(points_); !saved) return saved;
  if (auto taken = machine_.take_instant(instant); !taken) return taken;
  if (!point.memory) return {};
  point.memory->standstill_ms =
      std::chrono::duration_cast<base::Millis>(machine_.evidence().window.transaction).count();
  return {};
}

Result<void> PointRun::take_beside() {
  snapshot::KeepInstant instant(machine_.monitor(), points_.points.back().id);
  auto fit = instant.check(machine_.graph().disks, images_, settings_.overlay_reserve,
                           Deadline::in(settings_.qmp_timeout));
  if (!fit) return fit;
  if (auto saved = store_.save(points_); !saved) return saved;
  auto prepared = instant.prepare(images_, Deadline::in(settings_.qmp_timeout * 2));
  if (!prepared) return prepared;
  if (auto taken = machine_.take_instant(instant); !taken) return taken;
  return instant.finish();
}

Result<void> PointRun::take_subvolumes() {
  Point& point = points_.points.back();
  snapshot::SubvolumePoint instant(context_of(point.id), point.id);
  auto fit = instant.check_point(machine_.graph(), Deadline::in(settings_.qmp_timeout));
  if (!fit) return fit;
  for (const snapshot::JournalSnapshot& snapshot : instant.places())
    point.snapshots.push_back({snapshot.source, snapshot.path});
  for (std::size_t i = 0; i < point.disks.size(); ++i)
    point.disks[i].chain = instant.images()[i];
  if (auto saved = store_.save(points_); !saved) return saved;
  auto taken = instant.prepare({}, Deadline::in(settings_.qmp_timeout * 2), stop_);
  if (taken) taken = machine_.take_instant(instant);
  // From here on it is the store that says what is to go.
  if (taken) return instant.hand_over();
  auto settled = instant.settle(Deadline::in(settings_.settle_timeout), {});
  if (!settled) return std::move(taken).error().also(std::move(settled).error());
  return taken;
}

Error PointRun::undo(Error error) {
  observer_.step("undo");
  auto undone = finish_points(settings_, images_, &machine_.monitor());
  if (!undone) return std::move(error).also(std::move(undone).error());
  return error;
}

}  // namespace holdfast::host::run
