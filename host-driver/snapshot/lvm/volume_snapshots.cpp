// SPDX-License-Identifier: MIT
#include "snapshot/lvm/volume_snapshots.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <map>

#include "base/text.h"
#include "snapshot/lvm/mounted_snapshot.h"
#include "snapshot/names.h"

namespace holdfast::host::snapshot {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Result;

namespace {

constexpr std::string_view kDevices = "/dev/";
constexpr int kPercent = 100;

std::string group_of(const std::string& full_name) {
  return full_name.substr(0, full_name.find('/'));
}

// What its pool, if it has one, still has for it.
std::uint64_t room_in(const Volume& pool) {
  const double used = std::min(pool.data_used.value_or(kPercent), double{kPercent});
  return static_cast<std::uint64_t>(static_cast<double>(pool.size) * (kPercent - used) / kPercent);
}

Result<void> check_pool(const Volume& pool) {
  if (pool.health.empty() && !pool.is_full()) return {};
  return Error(ErrorCode::kNoSpace,
               "the thin pool '" + pool.full_name() + "' " +
                   (pool.is_full() ? std::string("is full")
                                   : "is not well: " + base::printable(pool.health, 40)));
}

Error too_little(const std::string& where, std::uint64_t free, std::uint64_t wanted) {
  return Error(ErrorCode::kNoSpace, "unable to snapshot volumes of '" + where +
                                        "': " + base::format_bytes(free) + " free, " +
                                        base::format_bytes(wanted) + " wanted")
      .with_hint("what is overwritten during the copy is kept: see overlay-reserve");
}

// "vg0/holdfast-web1-1f3a9c0b-0" of the path in /dev; nothing if it is not of that form.
std::string snapshot_of(const std::string& path) {
  if (!path.starts_with(kDevices)) return {};
  std::string full_name = path.substr(kDevices.size());
  const std::size_t slash = full_name.find('/');
  if (slash == std::string::npos) return {};
  const std::string name = full_name.substr(slash + 1);
  if (!is_volume_name(full_name.substr(0, slash)) || !is_volume_name(name)) return {};
  return name.starts_with(kNodePrefix) ? full_name : std::string();
}

}  // namespace

std::string volume_snapshot_path(const std::string& volume, const std::string& name) {
  return std::string(kDevices) + group_of(volume) + "/" + name;
}

Result<std::string> VolumeSnapshots::run(std::vector<std::string> argv, Deadline deadline) {
  const std::string program = argv.front();
  base::ProcessOutcome outcome =
      processes_.run({.argv = std::move(argv), .environment = {}, .deadline = deadline});
  if (!outcome.succeeded()) return outcome.as_error(program);
  return std::move(outcome.output);
}

Result<std::vector<Volume>> VolumeSnapshots::list(const std::string& group, Deadline deadline) {
  const auto report = run(list_command(group), deadline);
  if (!report) return report.error();
  return parse_volumes(*report);
}

Result<void> VolumeSnapshots::look(Deadline deadline) {
  auto volumes = list({}, deadline);
  if (!volumes) {
    const bool absent = volumes.error().code() == ErrorCode::kNotFound;
    Error error = std::move(volumes).error();
    return absent ? std::move(error).with_hint("install the package lvm2; PATH must name /usr/sbin")
                  : error;
  }
  volumes_ = std::move(*volumes);
  return {};
}

Result<void> VolumeSnapshots::will_do(const Volume& volume, const std::string& longest_name) const {
  if (volume.is_thick_snapshot()) {
    return Error(ErrorCode::kUnsupported,
                 "the volume '" + volume.full_name() + "' is itself a snapshot");
  }
  if (!fits_device_mapper(volume.group, longest_name)) {
    return Error(ErrorCode::kUnsupported,
                 "a snapshot of '" + volume.full_name() +
                     "' would have a name longer than the device mapper's");
  }
  if (!volume.is_thin()) return {};
  const Volume* pool = find_volume(volumes_, volume.group + "/" + volume.pool);
  if (pool == nullptr) {
    return Error(ErrorCode::kUnsupported,
                 "the thin pool of '" + volume.full_name() + "' is not among the volumes");
  }
  return check_pool(*pool);
}

Result<std::string> VolumeSnapshots::volume_of(const std::string& path,
                                               const std::string& longest_name) const {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    return base::errno_error(errno, "unable to look at " + base::in_quotes(path));
  }
  const std::uint64_t device = S_ISBLK(status.st_mode) ? status.st_rdev : status.st_dev;
  const auto volume = std::find_if(volumes_.begin(), volumes_.end(),
                                   [&](const Volume& one) { return one.device == device; });
  if (volume == volumes_.end()) {
    return Error(ErrorCode::kUnsupported, base::in_quotes(path) + " is on no logical volume")
        .with_hint("see METHODS in holdfast(1) for others");
  }
  if (!S_ISBLK(status.st_mode)) {
    const auto filesystem = filesystem_of(path);
    if (!filesystem) return filesystem.error();
  }
  if (auto able = will_do(*volume, longest_name); !able) return std::move(able).error();
  return volume->full_name();
}

Result<void> VolumeSnapshots::check_room(const std::vector<JournalSnapshot>& snapshots) const {
  std::map<std::string, std::uint64_t> wanted;
  for (const JournalSnapshot& snapshot : snapshots) {
    const Volume* volume = find_volume(volumes_, snapshot.source);
    if (volume == nullptr) continue;
    const std::string where =
        volume->is_thin() ? volume->group + "/" + volume->pool : volume->group;
    wanted[where] += snapshot_size(*volume, share_);
  }
  for (const auto& [where, bytes] : wanted) {
    const Volume* pool = find_volume(volumes_, where);
    const auto of_group = [&where = where](const Volume& one) { return one.group == where; };
    const std::uint64_t free =
        pool != nullptr ? room_in(*pool)
                        : std::find_if(volumes_.begin(), volumes_.end(), of_group)->group_free;
    if (free < bytes) return too_little(where, free, bytes);
  }
  return {};
}

Result<void> VolumeSnapshots::take(const JournalSnapshot& snapshot, Deadline deadline) {
  const Volume* volume = find_volume(volumes_, snapshot.source);
  const std::string full_name = snapshot_of(snapshot.path);
  if (volume == nullptr || full_name.empty()) {
    return Error(ErrorCode::kNotFound, "the volume is gone");
  }
  const std::string name = full_name.substr(full_name.find('/') + 1);
  auto made = run(create_command(*volume, name, snapshot_size(*volume, share_)), deadline);
  if (made) return {};
  late_ = made.error().code() == ErrorCode::kTimedOut;
  return std::move(made).error();
}

Result<void> VolumeSnapshots::is_intact(const JournalSnapshot& snapshot, Deadline deadline) {
  const std::string full_name = snapshot_of(snapshot.path);
  const auto volumes = list(group_of(full_name), deadline);
  if (!volumes) {
    return base::wrap(volumes.error(), "unable to ask for the snapshot '" + full_name + "'");
  }
  const Volume* volume = find_volume(*volumes, full_name);
  if (volume == nullptr) {
    return Error(ErrorCode::kNotFound, "the snapshot '" + full_name + "' is gone");
  }
  if (!volume->is_thin()) {
    if (!volume->invalid && !volume->is_full()) return {};
    return Error(ErrorCode::kNoSpace, "the snapshot '" + full_name + "' of '" + snapshot.source +
                                          "' has filled up, and is worth nothing")
        .with_hint("more than " + base::format_bytes(volume->size) +
                   " was overwritten during the copy: raise overlay-reserve");
  }
  const Volume* pool = find_volume(*volumes, volume->group + "/" + volume->pool);
  if (pool == nullptr) {
    return Error(ErrorCode::kNotFound, "the thin pool of '" + full_name + "' is gone");
  }
  return check_pool(*pool);
}

Result<void> VolumeSnapshots::remove(const JournalSnapshot& snapshot, Deadline deadline) {
  const std::string full_name = snapshot_of(snapshot.path);
  if (full_name.empty() || group_of(full_name) != group_of(snapshot.source)) {
    return Error(ErrorCode::kRefused, "it is no name of a snapshot of ours");
  }
  const auto volumes = list(group_of(full_name), deadline);
  if (!volumes) return volumes.error();
  const Volume* volume = find_volume(*volumes, full_name);
  if (volume == nullptr && late_) {
    // Then the journal stays, and the next run looks again.
    return Error(ErrorCode::kBusy, "lvcreate was not yet done with it");
  }
  if (volume == nullptr) return {};
  if (group_of(snapshot.source) + "/" + volume->origin != snapshot.source) {
    return Error(ErrorCode::kRefused,
                 "it is no snapshot of " + base::in_quotes(snapshot.source) + ", and so not ours");
  }
  auto removed = run(remove_command(full_name), deadline);
  if (!removed) return std::move(removed).error();
  return {};
}

}  // namespace holdfast::host::snapshot
