// SPDX-License-Identifier: MIT
#include "snapshot/overlay/overlay_strategy.h"

#include "image/source.h"
#include "snapshot/bitmaps.h"
#include "snapshot/commit_end.h"
#include "snapshot/names.h"
#include "snapshot/overlay/overlay_settler.h"
#include "snapshot/overlay_files.h"

namespace holdfast::host::snapshot {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;

namespace {

constexpr base::Millis kCommandTime{15000};

}  // namespace

OverlayPlace OverlayStrategy::place() const {
  const StrategyContext& with = context();
  return {with.vm, with.run, with.overlay_directory, with.overlay_reserve};
}

Result<std::vector<DiskPlan>> OverlayStrategy::check(const qmp::BlockGraph& graph,
                                                     const Parent& parent) {
  disks_ = graph.disks;
  if (auto good = check_overlays(place(), disks_); !good) return std::move(good).error();
  auto survives = check_commit_end(context().monitor, disks_, Deadline::in(kCommandTime));
  if (!survives) return std::move(survives).error();
  parent_ = parent;
  plan_.clear();
  for (const qmp::Disk& disk : disks_)
    plan_.push_back(plan_disk(disk, parent_, context().tag));
  return plan_;
}

std::string OverlayStrategy::next_bitmap(const qmp::Disk& disk) const {
  return bitmap_name(context().tag, context().backup_id, disk.name);
}

CopyJob OverlayStrategy::copy_job(std::size_t index) const {
  const qmp::Disk& disk = disks_[index];
  return {node_name(context().run, index), disk.node,
          bitmap_name(context().tag, parent_.id, disk.name), context().rate_limit,
          context().images.compression()};
}

Result<void> OverlayStrategy::prepare(const std::string& directory, Deadline deadline,
                                      const std::stop_token& stop) {
  directory_ = directory;
  journal_ = Journal{context().run, std::string(kName), false, {}};
  for (std::size_t i = 0; i < disks_.size(); ++i) {
    const qmp::Disk& disk = disks_[i];
    journal_.disks.push_back({disk.name, node_name(context().run, i), overlay_path(place(), disk),
                              disk.node, disk.chain.front().path, false});
  }
  if (auto saved = context().journal.save(journal_); !saved) return saved;
  for (std::size_t i = 0; i < disks_.size(); ++i) {
    if (stop.stop_requested()) return Error(ErrorCode::kCancelled, "interrupted");
    const std::string& path = journal_.disks[i].overlay_path;
    auto made = make_overlay_file(path, disks_[i], context().images, deadline);
    if (!made) return made;
    if (auto attached = attach_overlay(i, deadline); !attached) return attached;
    if (!context().tag.empty()) {
      auto added = add_bitmap(context().monitor, disks_[i], next_bitmap(disks_[i]), deadline);
      if (!added) return added;
    }
    if (!plan_[i].increment()) continue;
    if (auto target = make_target(i, deadline); !target) return target;
  }
  for (const qmp::Disk& disk : disks_)
    flush_early(disk);
  // The last write before the freeze: from here on take() may come at any time.
  journal_.may_be_taken = true;
  if (auto saved = context().journal.save(journal_); !saved) return saved;
  return context().monitor.send_ahead("transaction", transaction(), deadline);
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

// Attached before the freeze, so that what fails here costs the guest nothing.
Result<void> OverlayStrategy::make_target(std::size_t index, Deadline deadline) {
  const qmp::Disk& disk = disks_[index];
  const std::string path = directory_ + "/" + image_file(disk);
  auto made =
      context().images.create_increment(path, plan_[index].reference, disk.virtual_size, deadline);
  if (!made) return made;
  CopyJobs jobs(context().monitor);
  auto attached = jobs.attach(copy_job(index), path, deadline);
  if (attached) return attached;
  const ErrorCode code = attached.error().code();
  return Error(code, "unable to attach the copy of disk '" + disk.name + "' to QEMU")
      .with_hint("'incremental = no' does without")
      .caused_by(std::move(attached).error());
}

Json OverlayStrategy::transaction() const {
  Json actions = Json::array();
  if (!context().tag.empty()) {
    for (const qmp::Disk& disk : disks_) {
      actions.push_back({{"type", "block-dirty-bitmap-enable"},
                         {"data", {{"node", disk.node}, {"name", next_bitmap(disk)}}}});
    }
  }
  for (const JournalDisk& disk : journal_.disks) {
    actions.push_back({{"type", "blockdev-snapshot"},
                       {"data", {{"node", disk.base_node}, {"overlay", disk.overlay_node}}}});
  }
  return {{"actions", std::move(actions)}};
}

Result<void> OverlayStrategy::take(Deadline deadline) {
  auto done = context().monitor.has_sent_ahead()
                  ? context().monitor.execute_ahead(deadline)
                  : context().monitor.execute("transaction", transaction(), deadline);
  if (!done) return std::move(done).error();
  return {};
}

Result<void> OverlayStrategy::copy(std::size_t index, Deadline deadline,
                                   const std::stop_token& stop, const CopyProgress& progress) {
  if (plan_[index].increment()) {
    CopyJobs jobs(context().monitor);
    const CopyJob job = copy_job(index);
    if (auto started = jobs.start(job, Deadline::in(kCommandTime)); !started) return started;
    return jobs.follow(job, deadline, stop, progress);
  }
  const qmp::Disk& disk = disks_[index];
  std::vector<image::Layer> layers;
  for (const qmp::ImageLayer& layer : disk.chain)
    layers.push_back({layer.path, layer.format});
  const auto source = image::source_of(layers);
  if (!source) return source.error();
  return context().images.convert(*source, directory_ + "/" + image_file(disk), "qcow2", deadline,
                                  stop, progress);
}

Result<void> OverlayStrategy::settle(Deadline deadline, const std::stop_token& stop) {
  CopyJobs jobs(context().monitor);
  // A copy that goes on keeps its image, and the overlay above it, from being touched.
  auto ended = jobs.sweep(run_prefix(context().run), deadline, stop);
  if (!ended) return std::move(ended).error();
  OverlaySettler settler(context().monitor, context().images, context().journal);
  return settler.settle(journal_, deadline, stop);
}

Result<std::vector<std::string>> OverlayStrategy::recover(Deadline deadline,
                                                          const std::stop_token& stop) {
  CopyJobs jobs(context().monitor);
  auto done = jobs.sweep(kNodePrefix, deadline, stop);
  if (!done) return done;
  OverlaySettler settler(context().monitor, context().images, context().journal);
  auto settled = settler.recover(deadline, stop);
  if (!settled) return settled;
  done->insert(done->end(), settled->begin(), settled->end());
  return done;
}

}  // namespace holdfast::host::snapshot
