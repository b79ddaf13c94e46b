// SPDX-License-Identifier: MIT
#include "snapshot/overlay_strategy.h"

#include "image/source.h"
#include "snapshot/overlay_files.h"
#include "snapshot/overlay_settler.h"

namespace holdfast::host::snapshot {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;

OverlayPlace OverlayStrategy::place() const {
  const StrategyContext& with = context();
  return {with.vm, with.run, with.overlay_directory, with.overlay_reserve};
}

Result<void> OverlayStrategy::check(const qmp::BlockGraph& graph) {
  disks_ = graph.disks;
  return check_overlays(place(), disks_);
}

Result<void> OverlayStrategy::prepare(Deadline deadline, const std::stop_token& stop) {
  journal_ = Journal{context().run, std::string(kName), false, {}};
  for (std::size_t i = 0; i < disks_.size(); ++i) {
    const qmp::Disk& disk = disks_[i];
    journal_.disks.push_back({disk.name, overlay_node(context().run, i),
                              overlay_path(place(), disk), disk.node, disk.chain.front().path,
                              false});
  }
  if (auto saved = context().journal.save(journal_); !saved) return saved;
  for (std::size_t i = 0; i < disks_.size(); ++i) {
    if (stop.stop_requested()) return Error(ErrorCode::kCancelled, "interrupted");
    const std::string& path = journal_.disks[i].overlay_path;
    auto made = make_overlay_file(path, disks_[i], context().images, deadline);
    if (!made) return made;
    if (auto attached = attach_overlay(i, deadline); !attached) return attached;
  }
  for (const qmp::Disk& disk : disks_)
    flush_early(disk);
  // The last write before the freeze: from here on take() may come at any time.
  journal_.may_be_taken = true;
  return context().journal.save(journal_);
}

Result<void> OverlayStrategy::attach_overlay(std::size_t index, Deadline deadline) {
  const qmp::Disk& disk = disks_[index];
  const JournalDisk& entry = journal_.disks[index];
  // backing: null, because blockdev-snapshot itself puts the disk below (QEMU:
  // qapi/block-core.json, blockdev-snapshot). Caching as the disk has it, else the page cache would
  // grow behind a guest that runs with cache=none. Discards reach the base at the commit, as
  // zeroes.
  auto added = context().monitor.execute(
      "blockdev-add",
      {{"driver", "qcow2"},
       {"node-name", entry.overlay_node},
       {"file",
        {{"driver", "file"},
         {"filename", entry.overlay_path},
         {"cache", {{"direct", disk.cache_direct}, {"no-flush", disk.cache_no_flush}}}}},
       {"cache", {{"direct", disk.cache_direct}, {"no-flush", disk.cache_no_flush}}},
       {"discard", "unmap"},
       {"backing", nullptr}},
      deadline);
  if (!added) {
    const ErrorCode code = added.error().code();
    return Error(code, "unable to attach an overlay for disk '" + disk.name + "'")
        .caused_by(std::move(added).error());
  }
  return {};
}

Result<void> OverlayStrategy::take(Deadline deadline) {
  Json actions = Json::array();
  for (const JournalDisk& disk : journal_.disks) {
    actions.push_back({{"type", "blockdev-snapshot"},
                       {"data", {{"node", disk.base_node}, {"overlay", disk.overlay_node}}}});
  }
  auto done = context().monitor.execute("transaction", {{"actions", std::move(actions)}}, deadline);
  if (!done) return std::move(done).error();
  return {};
}

Result<std::vector<Source>> OverlayStrategy::sources() {
  std::vector<Source> sources;
  for (const qmp::Disk& disk : disks_) {
    std::vector<image::Layer> layers;
    for (const qmp::ImageLayer& layer : disk.chain)
      layers.push_back({layer.path, layer.format});
    auto source = image::source_of(layers);
    if (!source) return std::move(source).error();
    sources.push_back({disk, std::move(*source)});
  }
  return sources;
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

}  // namespace holdfast::host::snapshot
