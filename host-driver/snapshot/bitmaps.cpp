// SPDX-License-Identifier: MIT
#include "snapshot/bitmaps.h"

#include <algorithm>

namespace holdfast::host::snapshot {

using base::Deadline;
using base::ErrorCode;
using base::Json;
using base::Result;

namespace {

// What one bit stands for, and what QEMU copies at once (QEMU: block/block-copy.c).
constexpr int kGranularity = 65536;

std::string prefix_of(std::string_view tag) {
  return "holdfast-" + std::string(tag) + "-";
}

}  // namespace

std::string bitmap_name(std::string_view tag, std::string_view backup_id, std::string_view disk) {
  return prefix_of(tag) + std::string(backup_id) + "-" + std::string(disk);
}

std::string bitmap_problem(const qmp::Disk& disk, const std::string& name) {
  const auto found =
      std::find_if(disk.bitmaps.begin(), disk.bitmaps.end(),
                   [&](const qmp::Bitmap& candidate) { return candidate.name == name; });
  if (found == disk.bitmaps.end()) {
    return disk.chain.front().format == "qcow2"
               ? "its dirty bitmap is gone: the image was replaced, or written to by a program "
                 "that does not know of it"
               : "its dirty bitmap is gone: QEMU was started anew, and only qcow2 images keep one";
  }
  if (found->inconsistent) {
    return "its dirty bitmap is inconsistent: QEMU did not end as it should";
  }
  if (!found->recording) return "its dirty bitmap was switched off";
  if (found->busy) return "its dirty bitmap is in use by another program";
  return {};
}

Result<void> add_bitmap(qmp::Client& monitor, const qmp::Disk& disk, const std::string& name,
                        Deadline deadline) {
  const auto add = [&](bool outlasts) {
    return monitor.execute("block-dirty-bitmap-add",
                           {{"node", disk.node},
                            {"name", name},
                            {"granularity", kGranularity},
                            {"persistent", outlasts},
                            {"disabled", true}},
                           deadline);
  };
  const bool persistent = disk.chain.front().format == "qcow2";
  auto added = add(persistent);
  // An image of compat 0.10 has no place for it.
  if (!added && persistent && added.error().code() == ErrorCode::kRefused) added = add(false);
  if (!added) {
    return base::wrap(std::move(added).error(),
                      "unable to add a dirty bitmap to disk '" + disk.name + "'");
  }
  return {};
}

std::vector<std::string> useless_bitmaps(const qmp::Disk& disk, std::string_view tag,
                                         std::string_view latest) {
  const std::string kept = latest.empty() ? std::string() : bitmap_name(tag, latest, disk.name);
  std::vector<std::string> useless;
  for (const qmp::Bitmap& bitmap : disk.bitmaps) {
    if (!bitmap.name.starts_with(prefix_of(tag))) continue;
    if (bitmap.name == kept && bitmap.recording && !bitmap.inconsistent) continue;
    useless.push_back(bitmap.name);
  }
  return useless;
}

Result<void> keep_bitmaps(qmp::Client& monitor, std::string_view tag, std::string_view latest,
                          Deadline deadline) {
  const auto graph = qmp::read_block_graph(monitor, deadline);
  if (!graph) return graph.error();
  for (const qmp::Disk& disk : graph->disks) {
    for (const std::string& name : useless_bitmaps(disk, tag, latest)) {
      auto removed = monitor.execute("block-dirty-bitmap-remove",
                                     {{"node", disk.node}, {"name", name}}, deadline);
      if (!removed) {
        return base::wrap(std::move(removed).error(),
                          "unable to remove a dirty bitmap from disk '" + disk.name + "'");
      }
    }
  }
  return {};
}

}  // namespace holdfast::host::snapshot
