// SPDX-License-Identifier: MIT
#include "snapshot/keep/keep_instant.h"

#include <limits.h>
#include <sys/stat.h>

#include <set>

#include "base/text.h"
#include "image/point_file.h"
#include "qmp/schema.h"
#include "repository/paths.h"
#include "snapshot/keep/kept_files.h"
#include "snapshot/overlay_files.h"
#include "snapshot/room.h"

namespace holdfast::host::snapshot {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;
using image::point_file;
using image::top_file;

namespace {

constexpr base::Millis kCommandTime{15000};
// A backup puts one more on top, and more than 32 are not read (qmp/block_graph.cpp).
constexpr std::size_t kLongestChain = 30;
constexpr std::size_t kRandomDigits = 8;

Error unfit(const qmp::Disk& disk, const std::string& why) {
  return {ErrorCode::kUnsupported,
          "unable to keep a restore point of disk '" + disk.name + "' beside its image: " + why};
}

Result<void> check_file(const qmp::Disk& disk, const std::string& image) {
  struct stat status {};
  if (::lstat(image.c_str(), &status) != 0) {
    return unfit(disk, "there is no '" + base::printable(image) + "'");
  }
  if (!S_ISREG(status.st_mode)) {
    return unfit(disk, "'" + base::printable(image) + "' is a link or a device")
        .with_hint(
            "give QEMU the image by its own name; 'snapshot-method = internal' does with it");
  }
  if (!image::is_same_file(image, disk.chain.front().path)) {
    return unfit(disk, "'" + base::printable(image) + "' is not what QEMU has open");
  }
  const std::size_t longest = image.size() - image.rfind('/') - 1 + image::kPointMark.size() +
                              image::kTopMark.size() +
                              repository::make_backup_id({}).value_or("").size();
  if (longest > NAME_MAX) return unfit(disk, "its name is too long to be added to");
  return {};
}

Result<void> check_disk(const qmp::Disk& disk, const std::string& image, image::QemuImg& images,
                        Deadline deadline) {
  const qmp::ImageLayer& layer = disk.chain.front();
  if (layer.format != "qcow2") {
    return unfit(disk,
                 "its image is " + layer.format + ", and the machine expects that by its name")
        .with_hint("with the machine off: qemu-img convert -f " + layer.format + " -O qcow2");
  }
  if (auto good = check_file(disk, image); !good) return good;
  if (disk.chain.size() >= kLongestChain) {
    return unfit(disk, "it rests on " + std::to_string(disk.chain.size() - 1) + " images already")
        .with_hint("holdfast snapshot delete, or snapshot flatten");
  }
  const auto kept = read_kept(image);
  if (!kept) return kept.error();
  if (!kept->below.empty() && kept->below_format.empty()) {
    return unfit(disk, "the image does not say what format it rests on")
        .with_hint("with the machine off: qemu-img rebase -u -b FILE -F FORMAT");
  }
  const auto info = images.info(layer.path, layer.format, image::QemuImg::Use::kShared, deadline);
  if (!info) return info.error();
  if (info->encrypted) return unfit(disk, "it is encrypted");
  if (!info->snapshots.empty()) {
    return unfit(disk, "it has the internal snapshot '" +
                           base::printable(info->snapshots.front().name, 64) +
                           "', out of whose reach it would come")
        .with_hint("remove what is inside the image first");
  }
  return {};
}

}  // namespace

Result<void> KeepInstant::check(const std::vector<qmp::Disk>& disks, image::QemuImg& images,
                                int reserve, Deadline deadline) {
  if (disks.empty()) {
    return Error(ErrorCode::kNotFound, "the machine has no disk that could be kept");
  }
  if (!qmp::command_takes(monitor_, "blockdev-reopen", "options", deadline)) {
    return Error(ErrorCode::kUnsupported, "QEMU " + base::printable(monitor_.version(), 40) +
                                              " is unable to keep overlays: it has no "
                                              "blockdev-reopen (since 6.1)");
  }
  disks_.clear();
  std::set<std::string> seen;
  std::vector<Wanted> wanted;
  for (const qmp::Disk& disk : disks) {
    std::string image = image::image_of(disk.chain.front().path);
    if (auto fit = check_disk(disk, image, images, deadline); !fit) return fit;
    if (!seen.insert(image).second) return unfit(disk, "another disk has the same image");
    wanted.push_back({base::directory_of(image) + "/",
                      disk.virtual_size / 100 * static_cast<std::uint64_t>(reserve)});
    disks_.push_back({disk, std::move(image),
                      std::string(kKeptNodePrefix) + id_.substr(id_.size() - kRandomDigits) + "-" +
                          std::to_string(disks_.size())});
  }
  return check_free(wanted, "keep a restore point in",
                    "what the guest writes goes beside the images: see overlay-reserve");
}

Result<void> KeepInstant::prepare(image::QemuImg& images, Deadline deadline) {
  KeptNodes nodes(monitor_, kCommandTime, {});
  for (One& one : disks_) {
    const KeptFiles files(one.image, {});
    const std::string kept = point_file(one.image, id_);
    const std::string top = top_file(one.image, id_);
    if (auto named = files.give_name_now(one.image, kept); !named) return named;
    qmp::Disk below = one.disk;
    below.chain.front().path = kept;
    if (auto made = make_overlay_file(top, below, images, deadline); !made) return made;
    if (auto flushed = repository::flush_file(top); !flushed) return flushed;
    if (auto flushed = repository::flush_directory(base::directory_of(top)); !flushed)
      return flushed;
    if (auto attached = nodes.attach(one.node, top, one.disk.node); !attached) {
      return base::wrap(std::move(attached).error(),
                        "unable to attach an overlay for disk '" + one.disk.name + "'");
    }
  }
  for (const One& one : disks_)
    flush_early(one.disk);
  return monitor_.send_ahead("transaction", transaction(), deadline);
}

Json KeepInstant::transaction() const {
  Json actions = Json::array();
  for (const One& one : disks_) {
    actions.push_back({{"type", "blockdev-snapshot"},
                       {"data", {{"node", one.disk.node}, {"overlay", one.node}}}});
  }
  return {{"actions", std::move(actions)}};
}

Result<void> KeepInstant::take(Deadline deadline) {
  auto done = monitor_.has_sent_ahead() ? monitor_.execute_ahead(deadline)
                                        : monitor_.execute("transaction", transaction(), deadline);
  if (!done) return std::move(done).error();
  for (const One& one : disks_) {
    const KeptFiles files(one.image, {});
    if (auto named = files.give_name_now(top_file(one.image, id_), one.image); !named) return named;
  }
  return {};
}

Result<void> KeepInstant::finish() {
  KeptNodes nodes(monitor_, kCommandTime, {});
  for (const One& one : disks_) {
    const std::string kept = point_file(one.image, id_);
    if (auto renewed = nodes.renew_below(one.node, kept); !renewed) return renewed;
    if (auto released = nodes.release(one.image); !released) return released;
    if (auto flushed = repository::flush_file(kept); !flushed) return flushed;
    if (auto flushed = repository::flush_directory(base::directory_of(kept)); !flushed)
      return flushed;
  }
  return {};
}

}  // namespace holdfast::host::snapshot
