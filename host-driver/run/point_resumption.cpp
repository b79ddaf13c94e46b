// SPDX-License-Identifier: MIT
//
// Points::resume(): back to a point with its memory.
#include <algorithm>

#include "base/text.h"
#include "point/reality.h"
#include "run/channel.h"
#include "run/guardian.h"
#include "run/points.h"
#include "run/resumption.h"
#include "snapshot/internal/internal_instant.h"
#include "snapshot/machine_memory.h"
#include "snapshot/names.h"

namespace holdfast::host::run {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Millis;
using base::Result;
using point::Point;
using point::Revert;

namespace {

// For a busy host.
constexpr Millis kMargin{20000};

// Loading, loading what was there if that fails, and the guest.
Millis patience_of(const config::Settings& settings) {
  return settings.memory_timeout * 3 + settings.qmp_timeout * 6 + settings.thaw_timeout * 2 +
         settings.agent_timeout * 2 + kMargin;
}

bool is_ours(const qmp::Bitmap& bitmap) {
  return bitmap.name.starts_with(snapshot::kNodePrefix);
}

// QEMU loads nothing while there are any: they would be untrue.
Result<void> check_bitmaps(const qmp::Disk& disk) {
  for (const qmp::Bitmap& bitmap : disk.bitmaps) {
    if (is_ours(bitmap)) continue;
    return Error(ErrorCode::kRefused, "disk '" + disk.name + "' has the dirty bitmap " +
                                          base::in_quotes(bitmap.name) +
                                          ", which is not ours and would be untrue afterwards")
        .with_hint("block-dirty-bitmap-remove in QEMU's monitor, if nobody needs it");
  }
  return {};
}

// Was the guest frozen when its memory was kept?
bool frozen_in(const Point& point) {
  const auto evidence = base::object_member(point.evidence, "evidence");
  return evidence && base::integer_member(**evidence, "freeze_count").value_or(0) > 0;
}

}  // namespace

Result<void> Points::check_resume(const Point& target, const qmp::BlockGraph& graph) {
  const auto job = memory_job(target, graph);
  if (!job) return job.error();
  const auto now = memory_to_keep(settings_, *monitor_, graph);
  if (!now) return now.error();
  if (now->machine != target.memory->machine || now->bytes != target.memory->bytes) {
    return Error(ErrorCode::kRefused, "the machine is another one than when '" + target.id +
                                          "' was taken: " + now->machine + " with " +
                                          std::to_string(now->bytes) +
                                          " bytes of memory, and it was " + target.memory->machine +
                                          " with " + std::to_string(target.memory->bytes))
        .with_hint("QEMU takes back the memory of the same machine alone");
  }
  for (const qmp::Disk& disk : graph.disks) {
    if (auto good = check_bitmaps(disk); !good) return good;
  }
  const auto problems = point::problems_of(
      target, point::look_at_images(points_, {}, images_, Deadline::in(settings_.settle_timeout)));
  if (!problems.empty()) return Error(ErrorCode::kCorrupt, problems.front());
  return check_below(target);
}

Result<void> Points::save_running_present(const Point& target, const qmp::BlockGraph& graph) {
  auto present = present_point(target);
  if (!present) return std::move(present).error();
  auto memory = memory_to_keep(settings_, *monitor_, graph);
  if (!memory) return std::move(memory).error();
  snapshot::InternalInstant instant(*monitor_, point::snapshot_name(present->id));
  instant.keep_memory(snapshot::room_for_memory(memory->bytes), settings_.memory_timeout);
  auto fit = instant.check(graph.disks, images_, settings_.overlay_reserve,
                           Deadline::in(settings_.qmp_timeout));
  if (!fit) return fit;
  const std::string id = present->id;
  present->memory = std::move(*memory);
  present->evidence["evidence"] = {{"reasons", {"the guest was not frozen"}}};
  points_.revert->saved = id;
  points_.points.push_back(std::move(*present));
  if (auto saved = save(); !saved) return saved;
  const auto begin = std::chrono::steady_clock::now();
  auto taken = instant.take(Deadline::in(settings_.memory_timeout + settings_.qmp_timeout));
  if (!taken) return taken;
  points_.points.back().memory->standstill_ms =
      std::chrono::duration_cast<Millis>(std::chrono::steady_clock::now() - begin).count();
  points_.points.back().state = point::State::kKept;
  return {};
}

Result<void> Points::begin_resumption(const Point& target, const qmp::BlockGraph& graph) {
  points_.revert->phase = Revert::Phase::kApplying;
  if (auto saved = save(); !saved) return saved;
  for (const qmp::Disk& disk : graph.disks) {
    for (const qmp::Bitmap& bitmap : disk.bitmaps) {
      auto removed = monitor_->execute("block-dirty-bitmap-remove",
                                       {{"node", disk.node}, {"name", bitmap.name}},
                                       Deadline::in(settings_.qmp_timeout));
      if (!removed) return std::move(removed).error();
    }
  }
  const auto job = memory_job(target, graph);
  if (!job) return job.error();
  auto begun = snapshot::begin_load(*monitor_, *job,
                                    Deadline::in(settings_.memory_timeout + settings_.qmp_timeout));
  // That it is not known is no reason to believe that it has not.
  if (!begun && begun.error().code() != ErrorCode::kTimedOut) return begun;
  return {};
}

// The machine is as it was.
Error Points::give_up(Error error) {
  const std::string saved = points_.revert ? points_.revert->saved : std::string();
  points_.revert.reset();
  if (auto kept = save(); !kept) return std::move(error).also(std::move(kept).error());
  if (saved.empty()) return error;
  auto ended = snapshot::finish_job(*monitor_, snapshot::save_job(point::snapshot_name(saved)),
                                    Deadline::in(settings_.memory_timeout));
  // As long as QEMU is at work, it is the next command's.
  if (!ended && ended.error().code() != ErrorCode::kRefused) {
    return std::move(error).also(std::move(ended).error());
  }
  if (auto gone = remove(saved); !gone) return std::move(error).also(std::move(gone).error());
  return error;
}

Result<Points::Resumed> Points::resume(const std::string& id, bool discard) {
  const Point target = *points_.find(id);
  if (!target.memory) {
    return Error(ErrorCode::kUnsupported, "'" + id + "' has no memory to go on from")
        .with_hint("without --resume its disks are put back; see snapshot create --with-memory");
  }
  if (!runs()) {
    return Error(ErrorCode::kRefused,
                 "'" + settings_.vm + "' is off: its own QEMU takes the memory back")
        .with_hint(
            "start it by its command line, with -S; without --resume the disks are put back");
  }
  const auto graph = read_graph(settings_, *monitor_);
  if (!graph) return graph.error();
  if (auto good = check_resume(target, *graph); !good) return std::move(good).error();
  auto guardian = Guardian::start(
      {.vm = settings_.vm, .agent = {}, .release = [settings = settings_](Deadline deadline) {
         return finish_resumption_of(settings, deadline);
       }});
  if (!guardian) return std::move(guardian).error();
  points_.revert = Revert{.to = id, .saved = {}, .resume = true, .process = process_of(*monitor_)};
  if (!discard) {
    if (auto saved = save_running_present(target, *graph); !saved) {
      return give_up(std::move(saved).error());
    }
  }
  const std::string saved = points_.revert->saved;
  if (auto armed = guardian->arm(patience_of(settings_)); !armed) {
    return give_up(std::move(armed).error());
  }
  if (auto begun = begin_resumption(target, *graph); !begun) {
    Error error = give_up(std::move(begun).error());
    guardian->dismiss();
    return error;
  }
  auto finished = finish_resumption(settings_, *monitor_, points_, store_);
  // On failure there may be a frozen guest, or an end to wait for.
  if (!finished) return std::move(finished).error();
  guardian->dismiss();
  if (!finished->reverted) {
    const Error error(ErrorCode::kRefused,
                      "the revert is not done, and the machine is as it was: " + finished->why_not);
    if (saved.empty()) return error;
    if (auto removed = remove(saved); !removed) {
      return Error(error).also(std::move(removed).error());
    }
    return error;
  }
  Resumed resumed{saved, std::move(finished->woken)};
  if (!frozen_in(target)) resumed.woken.unthawed.clear();
  return resumed;
}

}  // namespace holdfast::host::run
