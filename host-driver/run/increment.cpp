// SPDX-License-Identifier: MIT
//
// On which backup the increments of this run stand, which disks get one, and what is said of it.
#include "snapshot/increment.h"

#include <algorithm>

#include "base/text.h"
#include "repository/chain.h"
#include "run/backup_run.h"
#include "run/channel.h"
#include "run/parent.h"

namespace holdfast::host::run {

using base::ErrorCode;

namespace {

// Is every image below there, with the size that its manifest says? Their checksums are for
// `holdfast verify`: an increment must not cost what a full backup costs.
std::string chain_problem(const repository::Repository& repository,
                          const repository::Backup& backup, const repository::DiskEntry& disk) {
  const auto images = repository::images_of(repository, backup, disk);
  if (!images) return images.error().text();
  for (const repository::StoredImage& image : *images) {
    const auto path = repository::Repository::disk_path(image.directory, image.disk);
    if (!path) return path.error().text();
  }
  return {};
}

}  // namespace

void BackupRun::find_parent(const std::string& id) {
  auto latest = repository_->find(settings_.vm, "latest");
  if (!latest) {
    is_first_ = latest.error().code() == ErrorCode::kNotFound;
    parent_.problem = is_first_ ? "there is no earlier backup"
                                : "the latest backup is of no use: " + latest.error().text();
    return;
  }
  latest_id_ = latest->manifest.id;
  parent_ = parent_in(*latest);
  // A parent must be older by its name, too.
  if (parent_.problem.empty() && id <= latest_id_) {
    parent_.problem = "the clock stands before the latest backup '" + latest_id_ + "'";
  }
  for (const repository::DiskEntry& disk : latest->manifest.disks) {
    const bool there =
        std::any_of(machine_.graph().disks.begin(), machine_.graph().disks.end(),
                    [&](const qmp::Disk& candidate) { return candidate.name == disk.name; });
    if (there) continue;
    gone_.push_back(disk.name);
    observer_.note("disk '" + disk.name + "' of backup '" + latest_id_ + "' is not there any more");
  }
}

snapshot::Parent BackupRun::parent_in(const repository::Backup& latest) const {
  if (!request_.full) return run::parent_in(settings_, *repository_, latest);
  return {latest.manifest.id, {}, "'--full' asks for it"};
}

snapshot::Parent parent_in(const config::Settings& settings,
                           const repository::Repository& repository,
                           const repository::Backup& latest) {
  snapshot::Parent parent{latest.manifest.id, {}, {}};
  const auto without = [&](std::string problem) {
    parent.problem = std::move(problem);
    return parent;
  };
  if (!settings.incremental) return without("'incremental' is switched off");
  const auto chain = repository::chain_of(repository, latest);
  if (!chain) return without(chain.error().text());
  const std::size_t longest =
      std::min(repository::kLongestChain, static_cast<std::size_t>(settings.full_every));
  if (chain->size() >= longest) {
    return without("'full-every' is " + std::to_string(settings.full_every));
  }
  for (const repository::DiskEntry& disk : latest.manifest.disks) {
    parent.disks.push_back({disk.name, disk.virtual_size,
                            repository::backing_reference(latest.manifest.id, disk.file),
                            chain_problem(repository, latest, disk)});
  }
  return parent;
}

// A first backup, and what was asked for, need no word.
void BackupRun::tell_plan() {
  if (is_first_ || !settings_.incremental || request_.full) return;
  if (!parent_.problem.empty()) return observer_.note("a full backup: " + parent_.problem);
  for (std::size_t i = 0; i < plan_.size(); ++i) {
    if (plan_[i].increment()) continue;
    observer_.note("disk '" + machine_.graph().disks[i].name +
                   "' is copied in full: " + plan_[i].full_because);
  }
}

void BackupRun::keep_bitmaps(const std::string& latest) {
  const auto kept = run::keep_bitmaps(settings_, machine_.monitor(), repository_->tag(), latest);
  if (!kept) observer_.note(kept.error().one_line() + ", leaving it for the next run");
}

}  // namespace holdfast::host::run
