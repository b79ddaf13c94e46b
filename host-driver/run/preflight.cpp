// SPDX-License-Identifier: MIT
//
// Everything that can be done before the freeze is done here.
#include "base/text.h"
#include "qmp/schema.h"
#include "repository/paths.h"
#include "run/backup_run.h"
#include "run/channel.h"
#include "run/place.h"
#include "run/state.h"
#include "run/strategy_context.h"
#include "snapshot/room.h"

namespace holdfast::host::run {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Result;
using repository::Level;

namespace {

// Beside the data: qcow2 tables, manifest.
constexpr std::uint64_t kSpaceMargin = std::uint64_t{16} << 20U;

}  // namespace

Result<void> BackupRun::preflight() {
  if (auto locked = take_locks(); !locked) return locked;
  const auto id = repository::make_backup_id(begin_);
  return id ? prepare(*id) : id.error();
}

Result<void> BackupRun::prepare(const std::string& id) {
  observer_.step("preflight");
  auto version = images_.version(Deadline::in(settings_.qmp_timeout));
  if (!version) return std::move(version).error();
  qemu_img_version_ = std::move(*version);

  if (auto connected = machine_.connect(); !connected) return connected;
  if (auto able = check_compression(); !able) return able;

  const std::string tag = settings_.incremental ? repository_->tag() : std::string();
  images_.limit_rate(settings_.rate_limit);
  snapshot::StrategyContext context = strategy_context(
      settings_, machine_.monitor(), images_, machine_.journal(), id.substr(id.size() - 8));
  context.tag = tag;
  context.backup_id = id;
  auto strategy = make_strategy(settings_, settings_.method, context);
  if (!strategy) return std::move(strategy).error();

  if (auto recovered = machine_.recover(context); !recovered) return recovered;
  // It may take minutes, and the machine go on meanwhile: what is true of its disks is asked after.
  if (request_.before_it_begins) {
    if (auto ready = request_.before_it_begins(id); !ready) return ready;
    if (stop_.stop_requested()) return Error(ErrorCode::kCancelled, "interrupted");
  }
  // What it frees need not be copied, nor is room wanted for it.
  if (auto trimmed = trim(); !trimmed) return trimmed;
  if (auto looked = look_at_disks(); !looked) return looked;
  find_parent(id);
  // Else the bitmaps of a backup that is merely out of sight would go.
  if (auto there = repository_->still_there(); !there) return there;
  keep_bitmaps(settings_.incremental ? latest_id_ : std::string());
  auto plan = (*strategy)->check(machine_.graph(), parent_);
  if (!plan) return std::move(plan).error();
  plan_ = std::move(*plan);
  tell_plan();
  needed_ = kSpaceMargin + (*strategy)->room_beside();
  if (auto enough = check_space(); !enough) return enough;
  auto directory = repository_->make_vm_directory(settings_.vm);
  if (!directory) return std::move(directory).error();
  auto draft = repository::Draft::create(*directory, id);
  if (!draft) return std::move(draft).error();
  draft_.emplace(std::move(*draft));

  strategy_ = std::move(*strategy);
  to_settle_ = true;
  return strategy_->prepare(draft_->directory(), Deadline::in(settings_.qmp_timeout * 2), stop_);
}

Result<void> BackupRun::take_locks() {
  begin_ = std::chrono::system_clock::now();
  if (auto locked = machine_.lock(); !locked) return locked;
  auto place = take_place(settings_, request_.new_repository, observer_);
  if (!place) return std::move(place).error();
  repository_ = std::move(place->repository);
  repository_lock_ = std::move(place->lock);
  return {};
}

// Full copies are made by qemu-img, increments and the method `backup` by the machine's own QEMU.
Result<void> BackupRun::check_compression() {
  if (settings_.compress == name_of(image::Compression::kNone)) return {};
  images_.compress(image::Compression::kZstd);
  if (auto able = images_.check_compression(machine_.monitor_time()); !able) return able;
  if (is_by_libvirt(settings_)) return {};
  return qmp::require_compression(machine_.monitor(), settings_.compress, machine_.monitor_time());
}

Result<void> BackupRun::look_at_disks() {
  if (auto looked = machine_.look_at_disks(); !looked) return looked;
  auto definition = read_definition(settings_, machine_.monitor());
  if (!definition) return std::move(definition).error();
  definition_ = std::move(*definition);
  for (const std::string& line : definition_.lacking)
    observer_.note(line);
  return {};
}

Result<void> BackupRun::check_space() {
  for (std::size_t i = 0; i < machine_.graph().disks.size(); ++i)
    needed_ += snapshot::data_to_copy(machine_.graph().disks[i], plan_[i]);
  const auto free = repository::free_space(repository_->path());
  if (!free) return free.error();
  if (*free >= needed_) return {};
  return Error(ErrorCode::kNoSpace, "unable to back up into '" +
                                        base::printable(repository_->path()) +
                                        "': " + base::format_bytes(*free) + " free, " +
                                        base::format_bytes(needed_) + " may be needed");
}

}  // namespace holdfast::host::run
