// SPDX-License-Identifier: MIT
#include "snapshot/btrfs/subvolume_point.h"

#include <sys/stat.h>

#include <cerrno>
#include <set>

#include "base/text.h"
#include "snapshot/names.h"

namespace holdfast::host::snapshot {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Result;

namespace {

// Whatever is kept here is no backup that is to be sent.
StrategyContext without_sending(StrategyContext context) {
  context.receive_directory.clear();
  return context;
}

Error unfit(const std::string& disk, const std::string& why) {
  return {ErrorCode::kUnsupported,
          "unable to keep a restore point of disk '" + disk + "' by its subvolume: " + why};
}

}  // namespace

std::string point_place(const std::string& subvolume, const std::string& vm,
                        const std::string& id) {
  return (subvolume == "/" ? "" : subvolume) + "/." + std::string(kNodePrefix) + "point-" + vm +
         "-" + id;
}

SubvolumePoint::SubvolumePoint(StrategyContext context, std::string id)
    : BtrfsStrategy(without_sending(std::move(context))), id_(std::move(id)) {}

Result<void> SubvolumePoint::check_point(const qmp::BlockGraph& graph, Deadline deadline) {
  auto plan = check(graph, {});
  if (!plan) return std::move(plan).error();
  std::set<std::string> seen;
  for (std::size_t i = 0; i < graph.disks.size(); ++i) {
    const std::string& disk = graph.disks[i].name;
    const image::Layer& layer = images()[i].front();
    struct stat status {};
    if (::lstat(layer.path.c_str(), &status) != 0) {
      return base::errno_error(errno, "unable to look at " + base::in_quotes(layer.path));
    }
    // A revert gives the name another file; the other name would go on with this one.
    if (status.st_nlink > 1) {
      return unfit(disk, base::in_quotes(layer.path) + " is the same file as another name");
    }
    if (!seen.insert(layer.path).second) return unfit(disk, "another disk has the same image");
    if (layer.format != "qcow2") continue;
    const auto info =
        context().images.info(layer.path, layer.format, image::QemuImg::Use::kShared, deadline);
    if (!info) return info.error();
    if (info->has_data_file) return unfit(disk, "its data are in a file beside the image");
  }
  return {};
}

std::string SubvolumePoint::do_place(const std::string& unit, std::size_t /*index*/) {
  return point_place(unit, context().vm, id_);
}

}  // namespace holdfast::host::snapshot
