// SPDX-License-Identifier: MIT
#include "libvirt/overlay_strategy.h"

#include <unistd.h>

#include <algorithm>
#include <iterator>

#include "base/text.h"
#include "image/source.h"
#include "libvirt/domain.h"
#include "libvirt/overlay_settler.h"
#include "snapshot/commit_end.h"

namespace holdfast::host::libvirt {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;

snapshot::OverlayPlace OverlayStrategy::place() const {
  const snapshot::StrategyContext& with = context();
  return {with.vm, with.run, with.overlay_directory, with.overlay_reserve};
}

// A file of this name here need not be the image there. What is made beside it and found there by
// libvirt proves that both hosts see one directory; so overlays stand nowhere else.
Result<void> OverlayStrategy::check_reach() const {
  if (remote_.empty()) return {};
  const std::string host = "'" + base::printable(remote_) + "'";
  if (!context().overlay_directory.empty()) {
    return Error(ErrorCode::kConfiguration, "unable to use overlay-directory with the host " + host)
        .with_hint("only overlays beside the images show that these are the same here and there");
  }
  for (const qmp::Disk& disk : disks_) {
    for (const qmp::ImageLayer& layer : disk.chain) {
      if (::access(layer.path.c_str(), R_OK) == 0) continue;
      return Error(ErrorCode::kUnsupported, "unable to back up the disk '" + disk.name +
                                                "': its image '" + base::printable(layer.path) +
                                                "' is on the host " + host + " and not here")
          .with_hint("run holdfast there, or mount the images here under the same path");
    }
  }
  return {};
}

Result<std::vector<snapshot::DiskPlan>> OverlayStrategy::check(const qmp::BlockGraph& graph,
                                                               const snapshot::Parent& parent) {
  disks_ = graph.disks;
  others_.clear();
  for (const qmp::SkippedDevice& device : graph.skipped)
    others_.push_back(device.name);
  if (auto reached = check_reach(); !reached) return std::move(reached).error();
  if (auto good = snapshot::check_overlays(place(), disks_); !good) return std::move(good).error();
  auto survives = snapshot::check_commit_end(context().monitor.version(), disks_);
  if (!survives) return std::move(survives).error();
  snapshot::DiskPlan full;
  full.full_because = parent.problem.empty()
                          ? "through libvirt, increments are made with method = backup alone"
                          : parent.problem;
  return std::vector<snapshot::DiskPlan>(disks_.size(), full);
}

Result<void> OverlayStrategy::prepare(const std::string& directory, Deadline deadline,
                                      const std::stop_token& stop) {
  directory_ = directory;
  journal_ = snapshot::Journal{context().run, std::string(kName), false, {}};
  for (const qmp::Disk& disk : disks_) {
    // Libvirt has names of its own for QEMU's nodes; ours are files and the disk's name.
    snapshot::JournalDisk entry;
    entry.name = disk.name;
    entry.overlay_path = snapshot::overlay_path(place(), disk);
    entry.base_path = disk.chain.front().path;
    journal_.disks.push_back(std::move(entry));
  }
  if (auto saved = context().journal.save(journal_); !saved) return saved;
  for (std::size_t i = 0; i < disks_.size(); ++i) {
    if (stop.stop_requested()) return Error(ErrorCode::kCancelled, "interrupted");
    const std::string& path = journal_.disks[i].overlay_path;
    auto made = snapshot::make_overlay_file(path, disks_[i], context().images, deadline);
    if (!made) return made;
  }
  for (const qmp::Disk& disk : disks_)
    snapshot::flush_early(disk);
  // The last write before the freeze: from here on take() may come at any time.
  journal_.may_be_taken = true;
  return context().journal.save(journal_);
}

Result<void> OverlayStrategy::take(Deadline deadline) {
  Json targets = Json::array();
  Json paths = Json::array();
  for (const snapshot::JournalDisk& disk : journal_.disks) {
    targets.push_back(disk.name);
    paths.push_back(disk.overlay_path);
  }
  auto done = context().monitor.execute(
      "snapshot-disks",
      {{"targets", std::move(targets)}, {"paths", std::move(paths)}, {"others", others_}},
      deadline);
  if (!done) return std::move(done).error();
  return {};
}

Result<void> OverlayStrategy::copy(std::size_t index, Deadline deadline,
                                   const std::stop_token& stop,
                                   const snapshot::CopyProgress& progress) {
  const qmp::Disk& disk = disks_.at(index);
  std::vector<image::Layer> layers;
  std::transform(disk.chain.begin(), disk.chain.end(), std::back_inserter(layers),
                 [](const qmp::ImageLayer& layer) {
                   return image::Layer{layer.path, layer.format};
                 });
  const auto source = image::source_of(layers);
  if (!source) return source.error();
  return context().images.convert(*source, directory_ + "/" + snapshot::image_file(disk), "qcow2",
                                  deadline, stop, progress);
}

Result<void> OverlayStrategy::settle(Deadline deadline, const std::stop_token& stop) {
  OverlaySettler settler(context().monitor, context().images, context().journal);
  return settler.settle(journal_, deadline, stop);
}

Result<std::vector<std::string>> OverlayStrategy::recover(Deadline deadline,
                                                          const std::stop_token& stop) {
  OverlaySettler settler(context().monitor, context().images, context().journal);
  return settler.recover(deadline, stop);
}

}  // namespace holdfast::host::libvirt
