// SPDX-License-Identifier: MIT
#include "snapshot/storage_strategy.h"

#include <limits.h>
#include <stdlib.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "base/text.h"
#include "qmp/jobs.h"
#include "snapshot/low_io_priority.h"
#include "snapshot/names.h"
#include "snapshot/overlay_files.h"
#include "snapshot/room.h"
#include "snapshot/standstill.h"

namespace holdfast::host::snapshot {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Result;

namespace {

constexpr base::Millis kCommandTime{15000};

struct Freed {
  void operator()(char* text) const { ::free(text); }
};

// Without symbolic links: a snapshot has the same names below it, and no other.
Result<std::string> real_path(const std::string& path) {
  const std::unique_ptr<char, Freed> real(::realpath(path.c_str(), nullptr));
  if (!real) {
    return base::errno_error(errno, "unable to find the image '" + base::printable(path) + "'");
  }
  return std::string(real.get());
}

bool is_in(const std::string& path, const std::string& unit) {
  return path == unit || path.starts_with(unit + "/");
}

}  // namespace

std::string StorageStrategy::snapshot_name(std::size_t index) const {
  return std::string(kNodePrefix) + context().vm + "-" + context().run + "-" +
         std::to_string(index);
}

Deadline StorageStrategy::command_time() {
  return Deadline::in(kCommandTime);
}

Result<std::string> StorageStrategy::run(std::vector<std::string> argv, Deadline deadline) {
  const std::string program = argv.front();
  base::ProcessOutcome outcome = context().images.processes().run(
      {.argv = std::move(argv), .environment = {}, .deadline = deadline});
  if (!outcome.succeeded()) return outcome.as_error(program);
  return std::move(outcome.output);
}

Result<std::vector<DiskPlan>> StorageStrategy::check(const qmp::BlockGraph& graph,
                                                     const Parent& /*parent*/) {
  disks_ = graph.disks;
  if (disks_.empty()) {
    return Error(ErrorCode::kNotFound, "the machine has no disk that could be backed up");
  }
  if (auto able = do_check(); !able) return std::move(able).error();
  if (auto found = find_units(); !found) return std::move(found).error();
  if (auto room = do_room(); !room) return std::move(room).error();
  return std::vector<DiskPlan>(disks_.size(), DiskPlan{do_full_because(), 0, {}});
}

Result<void> StorageStrategy::find_units() {
  journal_ = Journal{context().run, std::string(name()), true, {}};
  layers_.clear();
  for (const qmp::Disk& disk : disks_) {
    std::vector<image::Layer> layers;
    for (const qmp::ImageLayer& layer : disk.chain) {
      auto real = real_path(layer.path);
      if (!real) return std::move(real).error();
      layers.push_back({std::move(*real), layer.format});
    }
    // What is below the first image is written by nobody; it may stand anywhere.
    auto unit = do_unit(layers.front().path);
    auto suits = unit ? do_suits(layers) : Result<void>(unit.error());
    if (!suits) {
      return base::wrap(std::move(suits).error(), "unable to snapshot disk '" + disk.name +
                                                      "' by '" + std::string(name()) + "'");
    }
    layers_.push_back(std::move(layers));
    const auto known =
        std::find_if(journal_.snapshots.begin(), journal_.snapshots.end(),
                     [&](const JournalSnapshot& snapshot) { return snapshot.source == *unit; });
    if (known != journal_.snapshots.end()) continue;
    std::string place = do_place(*unit, journal_.snapshots.size());
    journal_.snapshots.push_back({std::move(*unit), std::move(place)});
  }
  return {};
}

Result<std::string> StorageStrategy::inside(const std::string& image) {
  // Asked again, and not taken from the path: what is mounted, or a subvolume, within a unit is not
  // in its snapshot.
  const auto unit = do_unit(image);
  if (!unit) return image;
  for (const JournalSnapshot& snapshot : journal_.snapshots)
    if (snapshot.source == *unit) return do_inside(snapshot, image);
  return image;
}

Result<std::string> StorageStrategy::do_inside(const JournalSnapshot& snapshot,
                                               const std::string& image) {
  const std::string& unit = snapshot.source;
  return is_in(image, unit) ? snapshot.path + image.substr(unit.size()) : image;
}

std::string StorageStrategy::do_full_because() const {
  return "the method '" + std::string(name()) + "' makes no increments";
}

Result<void> StorageStrategy::do_suits(const std::vector<image::Layer>& /*layers*/) {
  return {};
}

Result<bool> StorageStrategy::do_tidy(Deadline /*deadline*/) {
  return false;
}

Result<void> StorageStrategy::do_intact(const JournalSnapshot& /*snapshot*/,
                                        Deadline /*deadline*/) {
  return {};
}

// What the guest overwrites during the copy stays there as well as what it is overwritten with.
Result<void> StorageStrategy::do_room() const {
  std::vector<Wanted> wanted;
  for (std::size_t i = 0; i < disks_.size(); ++i) {
    const std::string& image = layers_[i].front().path;
    wanted.push_back(
        {image.substr(0, image.rfind('/') + 1),
         disks_[i].virtual_size / 100 * static_cast<std::uint64_t>(context().overlay_reserve)});
  }
  return check_free(wanted, "snapshot what is in",
                    "what the guest overwrites is kept: see overlay-reserve");
}

// A commit or a stream moves data between images that are snapshotted one after the other.
Result<void> StorageStrategy::check_jobs() {
  const auto jobs = qmp::query_jobs(context().monitor, command_time());
  if (!jobs) return jobs.error();
  const auto busy = std::find_if(jobs->begin(), jobs->end(), [](const qmp::Job& job) {
    return job.status != "concluded" && job.status != "null";
  });
  if (busy == jobs->end()) return {};
  return Error(ErrorCode::kBusy,
               "the job '" + base::printable(busy->id, 100) + "' is at work in the machine");
}

Result<void> StorageStrategy::prepare(const std::string& directory, Deadline deadline,
                                      const std::stop_token& stop) {
  directory_ = directory;
  if (auto idle = check_jobs(); !idle) return idle;
  const auto running = is_running(context().monitor, deadline);
  if (!running) return running.error();
  journal_.resume = *running;
  if (auto saved = context().journal.save(journal_); !saved) return saved;
  for (const JournalSnapshot& snapshot : journal_.snapshots) {
    if (stop.stop_requested()) return Error(ErrorCode::kCancelled, "interrupted");
    if (auto prepared = do_prepare(snapshot, deadline); !prepared) return prepared;
  }
  for (const qmp::Disk& disk : disks_)
    flush_early(disk);
  return {};
}

Result<void> StorageStrategy::take(Deadline deadline) {
  // Somebody may have paused it since.
  const auto running = is_running(context().monitor, deadline);
  if (!running) return running.error();
  if (*running && !journal_.resume) {
    // Nobody has been told to let it go on in our place.
    return Error(ErrorCode::kBusy, "the machine was paused when this run began, and runs by now");
  }
  stopped_ = *running;
  auto taken = stand_still(context().monitor, deadline);
  if (taken) taken = take_all(deadline);
  if (!stopped_) return taken;
  // Also if `stop` was not answered in time: it is answered in order. Failing that it is tried
  // again by settle(), and by whoever thaws in our place.
  auto resumed = go_on(context().monitor, command_time());
  if (resumed) {
    stopped_ = false;
    return taken;
  }
  const ErrorCode code = resumed.error().code();
  Error error =
      Error(code, "unable to let the machine go on").caused_by(std::move(resumed).error());
  if (!taken) return std::move(taken).error().also(std::move(error));
  return error;
}

Result<void> StorageStrategy::take_all(Deadline deadline) {
  for (const JournalSnapshot& snapshot : journal_.snapshots) {
    auto taken = do_take(snapshot, deadline);
    if (taken) continue;
    return base::wrap(std::move(taken).error(),
                      "unable to snapshot '" + base::printable(snapshot.source) + "'");
  }
  return {};
}

Result<void> StorageStrategy::do_copy(const CopyOf& disk, Deadline deadline,
                                      const std::stop_token& stop, const CopyProgress& progress) {
  std::vector<image::Layer> layers;
  for (const image::Layer& layer : disk.layers) {
    auto path = inside(layer.path);
    if (!path) return std::move(path).error();
    layers.push_back({std::move(*path), layer.format});
  }
  const auto source = image::source_of(layers);
  if (!source) return source.error();
  return context().images.convert(*source, disk.target, "qcow2", deadline, stop, progress);
}

Result<void> StorageStrategy::copy(std::size_t index, Deadline deadline,
                                   const std::stop_token& stop, const CopyProgress& progress) {
  forget_standstill();
  const LowIoPriority behind_others;
  auto copied = do_copy({layers_[index], directory_ + "/" + image_file(disks_[index])}, deadline,
                        stop, progress);
  // Also if the copy had no trouble: others may have been read from a snapshot worth nothing.
  for (const JournalSnapshot& snapshot : journal_.snapshots) {
    auto intact = do_intact(snapshot, command_time());
    if (intact) continue;
    Error error = std::move(intact).error();
    return copied ? error : std::move(error).also(std::move(copied).error());
  }
  return copied;
}

// Whoever pauses the machine from now on wants it paused, even if this run is killed.
void StorageStrategy::forget_standstill() {
  if (!journal_.resume || stopped_) return;
  journal_.resume = false;
  // What it names is removed by the journal as it was as well.
  (void)context().journal.save(journal_);
}

Result<void> StorageStrategy::remove_all(const Journal& journal, Deadline deadline) {
  std::optional<Error> first_error;
  for (const JournalSnapshot& snapshot : journal.snapshots) {
    auto removed = do_remove(snapshot, deadline);
    if (removed) continue;
    Error error = base::wrap(std::move(removed).error(),
                             "unable to remove '" + base::printable(snapshot.path) + "'");
    first_error = first_error ? std::move(*first_error).also(std::move(error)) : std::move(error);
  }
  if (first_error) return std::move(*first_error);
  return context().journal.remove();
}

Result<void> StorageStrategy::settle(Deadline deadline, const std::stop_token& /*stop*/) {
  if (stopped_) {
    if (auto resumed = go_on(context().monitor, command_time()); !resumed) {
      return std::move(resumed).error();
    }
  }
  return remove_all(journal_, deadline);
}

Result<std::vector<std::string>> StorageStrategy::recover(Deadline deadline,
                                                          const std::stop_token& /*stop*/) {
  std::vector<std::string> done;
  const auto journal = context().journal.load();
  if (!journal) return journal.error();
  const auto tidied = do_tidy(deadline);
  if (!tidied) return tidied.error();
  if (*tidied) done.push_back("removed snapshots that were kept for a later 'btrfs send'");
  if (!*journal || (*journal)->method != name()) return done;
  if (auto removed = remove_all(**journal, deadline); !removed) return std::move(removed).error();
  done.push_back("removed the snapshots of the interrupted run '" +
                 base::printable((*journal)->run, 40) + "'");
  return done;
}

}  // namespace holdfast::host::snapshot
