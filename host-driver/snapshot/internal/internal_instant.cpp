// SPDX-License-Identifier: MIT
#include "snapshot/internal/internal_instant.h"

#include <sys/stat.h>

#include "base/text.h"
#include "snapshot/internal/memory_jobs.h"
#include "snapshot/overlay_files.h"
#include "snapshot/room.h"

namespace holdfast::host::snapshot {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;

namespace {

Error unfit(const qmp::Disk& disk, const std::string& why) {
  return {ErrorCode::kUnsupported,
          "unable to keep a restore point inside disk '" + disk.name + "': " + why};
}

Result<void> check_disk(const qmp::Disk& disk, image::QemuImg& images, Deadline deadline) {
  const qmp::ImageLayer& layer = disk.chain.front();
  if (layer.format != "qcow2") {
    return unfit(disk, "its image is " + layer.format + ", not qcow2")
        .with_hint("with the machine off: qemu-img convert -f " + layer.format + " -O qcow2");
  }
  const auto info = images.info(layer.path, layer.format, image::QemuImg::Use::kShared, deadline);
  if (!info) return info.error();
  if (info->has_data_file) return unfit(disk, "its data are in a file beside the image");
  return {};
}

Result<void> check_room(const std::vector<qmp::Disk>& disks, int reserve, std::uint64_t memory) {
  std::vector<Wanted> wanted;
  for (const qmp::Disk& disk : disks) {
    const std::string& path = disk.chain.front().path;
    struct stat status {};
    // A block device has the room that it has.
    if (::stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) continue;
    wanted.push_back({path.substr(0, path.rfind('/') + 1),
                      disk.virtual_size / 100 * static_cast<std::uint64_t>(reserve)});
    if (&disk == &disks.front()) wanted.back().bytes += memory;
  }
  return check_free(wanted, "keep a restore point in",
                    "the images grow with what the guest overwrites: see overlay-reserve");
}

}  // namespace

Result<void> InternalInstant::check(const std::vector<qmp::Disk>& disks, image::QemuImg& images,
                                    int reserve, Deadline deadline) {
  if (disks.empty()) {
    return Error(ErrorCode::kNotFound, "the machine has no disk that could be kept");
  }
  nodes_.clear();
  for (const qmp::Disk& disk : disks) {
    if (auto fit = check_disk(disk, images, deadline); !fit) return fit;
    nodes_.push_back(disk.node);
  }
  if (auto room = check_room(disks, reserve, room_); !room) return room;
  for (const qmp::Disk& disk : disks)
    flush_early(disk);
  // What keeps the memory is another command.
  if (room_ > 0) return {};
  return monitor_.send_ahead("transaction", transaction(), deadline);
}

Json InternalInstant::transaction() const {
  Json actions = Json::array();
  for (const std::string& node : nodes_) {
    actions.push_back({{"type", "blockdev-snapshot-internal-sync"},
                       {"data", {{"device", node}, {"name", name_}}}});
  }
  return {{"actions", std::move(actions)}};
}

void InternalInstant::keep_memory(std::uint64_t room, base::Millis patience) {
  room_ = room;
  patience_ = patience;
}

Result<void> InternalInstant::take_with_memory(Deadline deadline) {
  const MemoryJob job{name_, nodes_, nodes_.front()};
  if (auto begun = begin_save(monitor_, job, deadline); !begun) return begun;
  const auto done = finish_job(monitor_, save_job(name_), deadline);
  if (!done) return done.error();
  if (*done) return {};
  return Error(ErrorCode::kRefused, "somebody has dismissed the job that saves the memory");
}

Result<void> InternalInstant::take(Deadline deadline) {
  if (room_ > 0) return take_with_memory(deadline);
  auto done = monitor_.has_sent_ahead() ? monitor_.execute_ahead(deadline)
                                        : monitor_.execute("transaction", transaction(), deadline);
  if (!done) return std::move(done).error();
  return {};
}

}  // namespace holdfast::host::snapshot
