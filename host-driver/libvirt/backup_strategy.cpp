// SPDX-License-Identifier: MIT
#include "libvirt/backup_strategy.h"

#include <unistd.h>

#include <algorithm>

#include "base/text.h"
#include "libvirt/backup_job.h"
#include "libvirt/domain.h"
#include "qmp/jobs.h"
#include "repository/paths.h"
#include "snapshot/job_target.h"
#include "snapshot/overlay_files.h"
#include "snapshot/room.h"

namespace holdfast::host::libvirt {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;
using snapshot::DiskPlan;
using snapshot::Journal;

namespace {

constexpr base::Millis kCommandTime{40000};

Deadline command_time() {
  return Deadline::in(kCommandTime);
}

bool is_in(const std::optional<Journal>& journal, const std::string& path) {
  return journal &&
         std::any_of(journal->disks.begin(), journal->disks.end(),
                     [&](const snapshot::JournalDisk& disk) { return disk.overlay_path == path; });
}

// In a draft that is there no more: what is written to it is lost already.
bool is_abandoned(const std::string& path) {
  return path.find("/" + std::string(repository::kIncompletePrefix)) != std::string::npos &&
         ::access(path.c_str(), F_OK) != 0;
}

bool is_ours(const BackupJob& job, const std::optional<Journal>& journal) {
  return std::any_of(job.targets.begin(), job.targets.end(), [&](const std::string& path) {
    return is_in(journal, path) || is_abandoned(path);
  });
}

// Libvirt gives no reason, or the one that QEMU's job had, by which disk ended first.
bool is_cancelled(const BackupJob& job) {
  return job.error.empty() || job.error == qmp::kCancelledJob;
}

}  // namespace

std::string BackupStrategy::target_path(std::size_t index) const {
  return directory_ + "/" + snapshot::image_file(disks_[index]);
}

Result<std::vector<DiskPlan>> BackupStrategy::check(const qmp::BlockGraph& graph,
                                                    const snapshot::Parent& parent) {
  if (!remote_.empty()) {
    return Error(ErrorCode::kUnsupported,
                 "unable to use the method 'backup' with " + base::printable(remote_) +
                     ": QEMU would write the copies there, and not into the repository here")
        .with_hint("run holdfast there, or use method = overlay");
  }
  if (graph.disks.empty()) {
    return Error(ErrorCode::kNotFound, "the machine has no disk that could be backed up");
  }
  disks_ = graph.disks;
  parent_ = parent;
  others_.clear();
  for (const qmp::SkippedDevice& device : graph.skipped)
    others_.push_back(device.name);
  const auto job = read_backup_job(context().monitor, command_time());
  if (!job) return job.error();
  if (job->state != "none") {
    return Error(ErrorCode::kBusy, "libvirt is at work on the machine: " +
                                       std::string(job->is_there() ? "a backup" : "a job") +
                                       " of somebody else's")
        .with_hint("wait for its end; virsh domjobinfo shows it, virsh domjobabort ends it");
  }
  const auto checkpoints = read_checkpoints(context().monitor, command_time());
  if (!checkpoints) return checkpoints.error();
  const auto found =
      std::find_if(checkpoints->begin(), checkpoints->end(), [&](const Checkpoint& entry) {
        return entry.name == checkpoint_name(context().tag, parent.id);
      });
  plan_.clear();
  for (const qmp::Disk& disk : disks_)
    plan_.push_back(plan_disk(disk, parent_, found == checkpoints->end() ? nullptr : &*found));
  return plan_;
}

Result<void> BackupStrategy::make_target(std::size_t index, Deadline deadline) {
  const qmp::Disk& disk = disks_[index];
  const std::string path = target_path(index);
  auto made = snapshot::make_job_target(path, disk, plan_[index], context().images, deadline);
  if (!made) return made;
  const auto owner = owner_of(disk.chain.front().path);
  if (!owner) return owner.error();
  if (auto through = let_through(directory_, *owner); !through) return through;
  return lend(path, *owner);
}

Result<void> BackupStrategy::prepare(const std::string& directory, Deadline deadline,
                                     const std::stop_token& stop) {
  directory_ = directory;
  // Libvirt's jobs do not compress: the images are to say what they are.
  context().images.compress(image::Compression::kNone);
  journal_ = Journal{context().run, std::string(kName), true, {}};
  for (std::size_t i = 0; i < disks_.size(); ++i) {
    snapshot::JournalDisk entry;
    entry.name = disks_[i].name;
    entry.overlay_path = target_path(i);
    journal_.disks.push_back(std::move(entry));
  }
  if (auto saved = context().journal.save(journal_); !saved) return saved;
  for (std::size_t i = 0; i < disks_.size(); ++i) {
    if (stop.stop_requested()) return Error(ErrorCode::kCancelled, "interrupted");
    if (auto made = make_target(i, deadline); !made) {
      return base::wrap(std::move(made).error(),
                        "unable to make the copy of disk '" + disks_[i].name + "' ready");
    }
  }
  for (const qmp::Disk& disk : disks_)
    snapshot::flush_early(disk);
  return {};
}

// Null if no disk can have a bitmap, or none is wanted.
Json BackupStrategy::checkpoint() const {
  std::vector<std::string> with;
  std::vector<std::string> without = others_;
  for (const qmp::Disk& disk : disks_)
    (no_bitmap_because(disk).empty() ? with : without).push_back(disk.name);
  if (with.empty() || context().tag.empty()) return {};
  return {{"name", checkpoint_name(context().tag, context().backup_id)},
          {"description", describe_files(disks_)},
          {"disks", with},
          {"others", without}};
}

Result<void> BackupStrategy::take(Deadline deadline) {
  Json targets = Json::array();
  for (std::size_t i = 0; i < disks_.size(); ++i) {
    targets.push_back(
        {{"disk", disks_[i].name},
         {"path", target_path(i)},
         {"since", plan_[i].increment() ? checkpoint_name(context().tag, parent_.id) : ""}});
  }
  auto done = context().monitor.execute("begin-backup",
                                        {{"targets", std::move(targets)},
                                         {"checkpoint", checkpoint()},
                                         {"rate", context().rate_limit}},
                                        deadline);
  if (!done) return std::move(done).error();
  return {};
}

Result<void> BackupStrategy::limit(const std::stop_token& stop) {
  if (context().rate_limit == 0) return {};
  std::vector<std::string> names;
  for (const qmp::Disk& disk : disks_)
    names.push_back(disk.name);
  return limit_backup(context().monitor, names, context().rate_limit, stop);
}

Result<void> BackupStrategy::copy(std::size_t index, Deadline deadline, const std::stop_token& stop,
                                  const snapshot::CopyProgress& progress) {
  if (!copied_) {
    if (auto limited = limit(stop); !limited) return limited;
    const auto job = wait_for_backup(context().monitor, deadline, stop, progress);
    if (!job) return job.error();
    if (!job->outcome_known) {
      return Error(ErrorCode::kRefused, "libvirt does not say how its backup has ended");
    }
    if (!job->success) {
      return Error(ErrorCode::kRefused,
                   "libvirt's backup has failed: " +
                       (is_cancelled(*job) ? "it was ended by somebody else" : job->error));
    }
    copied_ = true;
  }
  const std::string path = target_path(index);
  if (auto back = take_back(path); !back) return back;
  return snapshot::release_room(path);
}

Result<void> BackupStrategy::settle(Deadline deadline, const std::stop_token& stop) {
  const auto job = read_backup_job(context().monitor, command_time());
  if (!job) return job.error();
  if (job->state == "beginning" || is_ours(*job, journal_)) {
    if (auto ended = end_backup(context().monitor, deadline, stop); !ended) return ended;
  }
  return context().journal.remove();
}

Result<std::vector<std::string>> BackupStrategy::recover(Deadline deadline,
                                                         const std::stop_token& stop) {
  auto journal = context().journal.load();
  if (!journal) return std::move(journal).error();
  if (*journal && (*journal)->method != kName) journal->reset();
  std::vector<std::string> done;
  const auto job = read_backup_job(context().monitor, command_time());
  if (!job) return job.error();
  // The call of a run that was killed may still be about to begin it.
  if ((*journal && job->state == "beginning") || is_ours(*job, *journal)) {
    if (auto ended = end_backup(context().monitor, deadline, stop); !ended) {
      return std::move(ended).error();
    }
    done.emplace_back("ended libvirt's backup of an interrupted run");
  }
  if (!*journal) return done;
  if (auto removed = context().journal.remove(); !removed) return std::move(removed).error();
  done.push_back("cleared up after the interrupted run '" + base::printable((*journal)->run, 40) +
                 "'");
  return done;
}

}  // namespace holdfast::host::libvirt
