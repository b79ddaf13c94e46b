// SPDX-License-Identifier: MIT
#include "snapshot/btrfs/btrfs_strategy.h"

#include "base/text.h"
#include "image/qcow2_header.h"
#include "snapshot/btrfs/subvolume.h"

namespace holdfast::host::snapshot {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Result;

Result<void> BtrfsStrategy::do_check() {
  if (auto able = check_administer(); !able) {
    return std::move(able).error().with_hint(
        "see PRIVILEGES in holdfast(1); the method 'reflink' does without");
  }
  auto version = run({"btrfs", "--version"}, command_time());
  if (!version) return std::move(version).error().with_hint("install the package btrfs-progs");
  if (sending_.wanted()) return sending_.check();
  return {};
}

Result<std::string> BtrfsStrategy::do_unit(const std::string& image) {
  return subvolume_of(image);
}

// It becomes the backup's as it is.
Result<void> BtrfsStrategy::do_suits(const std::vector<image::Layer>& layers) {
  if (!sending_.wanted()) return {};
  const image::Layer& image = layers.front();
  const std::string hint = "btrfs-send = no copies such an image";
  if (image.format != "qcow2" || layers.size() > 1) {
    return Error(ErrorCode::kUnsupported,
                 base::in_quotes(image.path) + " is no qcow2 image that rests on no other")
        .with_hint(hint);
  }
  const auto header = image::read_standalone_header(image.path);
  if (!header) return Error(header.error()).with_hint(hint);
  return sending_.check_apart(image.path);
}

std::string BtrfsStrategy::do_full_because() const {
  if (!sending_.wanted()) return StorageStrategy::do_full_because();
  return "'btrfs-send' carries what has changed, and each image is whole";
}

std::string BtrfsStrategy::do_place(const std::string& unit, std::size_t index) {
  return (unit == "/" ? "" : unit) + "/." + snapshot_name(index);
}

Result<void> BtrfsStrategy::do_prepare(const JournalSnapshot& /*snapshot*/, Deadline /*deadline*/) {
  return {};
}

Result<void> BtrfsStrategy::do_take(const JournalSnapshot& snapshot, Deadline deadline) {
  auto made = run(snapshot_command(snapshot.source, snapshot.path), deadline);
  if (!made) return std::move(made).error();
  return {};
}

Result<void> BtrfsStrategy::do_copy(const CopyOf& disk, Deadline deadline,
                                    const std::stop_token& stop, const CopyProgress& progress) {
  if (!sending_.wanted()) return StorageStrategy::do_copy(disk, deadline, stop, progress);
  if (!sent_) {
    if (auto sent = sending_.send(snapshots(), deadline, stop); !sent) return sent;
    sent_ = true;
  }
  const std::string& image = disk.layers.front().path;
  const auto unit = do_unit(image);
  if (!unit) return unit.error();
  for (const JournalSnapshot& snapshot : snapshots()) {
    if (snapshot.source == *unit) return sending_.clone(snapshot, image, disk.target);
  }
  return Error(ErrorCode::kInternal, base::in_quotes(image) + " is in no snapshot");
}

Result<bool> BtrfsStrategy::do_tidy(Deadline deadline) {
  return sending_.tidy(deadline);
}

Result<void> BtrfsStrategy::do_remove(const JournalSnapshot& snapshot, Deadline deadline) {
  const auto record = sending_.record();
  if (!record) return record.error();
  if (record->keeps(snapshot.path)) return {};
  // Gone for good when it says so: the journal, on another filesystem, goes next.
  return delete_subvolume(context().images.processes(), snapshot.path, deadline);
}

}  // namespace holdfast::host::snapshot
