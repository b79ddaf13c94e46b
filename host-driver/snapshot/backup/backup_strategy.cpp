// SPDX-License-Identifier: MIT
#include "snapshot/backup/backup_strategy.h"

#include "base/text.h"
#include "qmp/jobs.h"
#include "qmp/schema.h"
#include "snapshot/bitmaps.h"
#include "snapshot/job_target.h"
#include "snapshot/names.h"
#include "snapshot/overlay_files.h"
#include "snapshot/room.h"

namespace holdfast::host::snapshot {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;

namespace {

constexpr base::Millis kCommandTime{15000};

}  // namespace

Result<std::vector<DiskPlan>> BackupStrategy::check(const qmp::BlockGraph& graph,
                                                    const Parent& parent) {
  if (graph.disks.empty()) {
    return Error(ErrorCode::kNotFound, "the machine has no disk that could be backed up");
  }
  disks_ = graph.disks;
  parent_ = parent;
  plan_.clear();
  for (const qmp::Disk& disk : disks_)
    plan_.push_back(plan_disk(disk, parent_, context().tag));
  return plan_;
}

std::string BackupStrategy::target_path(std::size_t index) const {
  return directory_ + "/" + image_file(disks_[index]);
}

std::string BackupStrategy::next_bitmap(const qmp::Disk& disk) const {
  return bitmap_name(context().tag, context().backup_id, disk.name);
}

CopyJob BackupStrategy::copy_job(std::size_t index) const {
  const qmp::Disk& disk = disks_[index];
  return {node_name(context().run, index), disk.node,
          plan_[index].increment() ? bitmap_name(context().tag, parent_.id, disk.name) : "",
          context().rate_limit, context().images.compression()};
}

Result<void> BackupStrategy::prepare(const std::string& directory, Deadline deadline,
                                     const std::stop_token& stop) {
  directory_ = directory;
  // It names no disk: whatever there is of this run in QEMU bears its name.
  const Journal journal{context().run, std::string(kName), true, {}};
  if (auto saved = context().journal.save(journal); !saved) return saved;
  guest_goes_first_ =
      qmp::command_takes(context().monitor, "blockdev-backup", "on-cbw-error", deadline);
  for (std::size_t i = 0; i < disks_.size(); ++i) {
    if (stop.stop_requested()) return Error(ErrorCode::kCancelled, "interrupted");
    if (auto made = make_target(i, deadline); !made) {
      return base::wrap(std::move(made).error(),
                        "unable to make the copy of disk '" + disks_[i].name + "' ready");
    }
    if (context().tag.empty()) continue;
    if (auto begun = begin_recording(disks_[i], deadline); !begun) return begun;
  }
  for (const qmp::Disk& disk : disks_)
    flush_early(disk);
  return context().monitor.send_ahead("transaction", transaction(), deadline);
}

// Not within the transaction: bitmaps have no place in one with grouped jobs, and QEMU 7.2, told to
// enable one there, crashes (blockdev.c, block_dirty_bitmap_enable_abort).
Result<void> BackupStrategy::begin_recording(const qmp::Disk& disk, Deadline deadline) {
  const std::string name = next_bitmap(disk);
  if (auto added = add_bitmap(context().monitor, disk, name, deadline); !added) return added;
  auto enabled = context().monitor.execute("block-dirty-bitmap-enable",
                                           {{"node", disk.node}, {"name", name}}, deadline);
  if (!enabled) return std::move(enabled).error();
  return {};
}

Result<void> BackupStrategy::make_target(std::size_t index, Deadline deadline) {
  const std::string path = target_path(index);
  auto made = make_job_target(path, disks_[index], plan_[index], context().images, deadline);
  if (!made) return made;
  CopyJobs jobs(context().monitor);
  return jobs.attach(copy_job(index), path, deadline);
}

Json BackupStrategy::transaction() const {
  Json actions = Json::array();
  for (std::size_t i = 0; i < disks_.size(); ++i) {
    // Else they would take the disks' and the processors' time from the guest while it is frozen.
    Json arguments = CopyJobs::held_back(copy_job(i));
    if (guest_goes_first_) arguments["on-cbw-error"] = "break-snapshot";
    actions.push_back({{"type", "blockdev-backup"}, {"data", std::move(arguments)}});
  }
  return {{"actions", std::move(actions)}, {"properties", {{"completion-mode", "grouped"}}}};
}

Result<void> BackupStrategy::take(Deadline deadline) {
  auto done = context().monitor.has_sent_ahead()
                  ? context().monitor.execute_ahead(deadline)
                  : context().monitor.execute("transaction", transaction(), deadline);
  if (!done) return std::move(done).error();
  return {};
}

double BackupStrategy::progress_of_all() {
  const auto jobs = qmp::query_jobs(context().monitor, Deadline::in(kCommandTime));
  if (!jobs) return -1;
  double done = 0;
  double total = 0;
  for (const qmp::Job& job : *jobs) {
    if (!job.id.starts_with(run_prefix(context().run))) continue;
    done += static_cast<double>(job.done);
    total += static_cast<double>(job.total);
  }
  return total > 0 ? 100.0 * done / total : -1;
}

Result<void> BackupStrategy::copy(std::size_t index, Deadline deadline, const std::stop_token& stop,
                                  const CopyProgress& progress) {
  CopyJobs jobs(context().monitor);
  for (std::size_t i = 0; index == 0 && i < disks_.size(); ++i) {
    if (auto hurried = jobs.hurry(copy_job(i), Deadline::in(kCommandTime)); !hurried)
      return hurried;
  }
  auto done = jobs.follow(copy_job(index), deadline, stop, [&](double) {
    if (const double all = progress_of_all(); progress && all >= 0) progress(all);
  });
  if (!done) return first_failure(index, std::move(done).error());
  return release_room(target_path(index));
}

Error BackupStrategy::first_failure(std::size_t index, Error error) {
  if (error.code() != ErrorCode::kRefused) return error;
  const auto jobs = qmp::query_jobs(context().monitor, Deadline::in(kCommandTime));
  if (!jobs) return error;
  for (const qmp::Job& job : *jobs) {
    if (!job.error || *job.error == qmp::kCancelledJob) continue;
    for (std::size_t i = 0; i < disks_.size(); ++i) {
      if (i == index || job.id != CopyJobs::job_id(copy_job(i))) continue;
      return {ErrorCode::kRefused, "the copy of disk '" + disks_[i].name +
                                       "' has failed: blockdev-backup: " + *job.error};
    }
  }
  return error;
}

Result<void> BackupStrategy::settle(Deadline deadline, const std::stop_token& stop) {
  CopyJobs jobs(context().monitor);
  auto ended = jobs.sweep(run_prefix(context().run), deadline, stop);
  if (!ended) return std::move(ended).error();
  return context().journal.remove();
}

Result<std::vector<std::string>> BackupStrategy::recover(Deadline deadline,
                                                         const std::stop_token& stop) {
  const auto journal = context().journal.load();
  if (!journal) return journal.error();
  CopyJobs jobs(context().monitor);
  auto done = jobs.sweep(kNodePrefix, deadline, stop);
  if (!done || !*journal) return done;
  if (auto removed = context().journal.remove(); !removed) return std::move(removed).error();
  done->push_back("cleared up after the interrupted run '" + base::printable((*journal)->run, 40) +
                  "'");
  return done;
}

}  // namespace holdfast::host::snapshot
