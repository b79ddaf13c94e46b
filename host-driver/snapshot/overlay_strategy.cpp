// SPDX-License-Identifier: MIT
#include "snapshot/overlay_strategy.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <cerrno>
#include <map>

#include "base/text.h"
#include "base/unique_fd.h"
#include "image/source.h"
#include "snapshot/overlay_settler.h"

namespace holdfast::host::snapshot {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;

namespace {

std::string in_quotes(const std::string& text) {
  return "'" + base::printable(text) + "'";
}

std::string directory_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

// An empty file that QEMU may write: it may run as another user than we, and it has the base open.
Result<void> make_file_like(const std::string& path, const std::string& base_path) {
  struct stat base_status {};
  if (::stat(base_path.c_str(), &base_status) != 0) {
    return base::errno_error(errno, "unable to look at the image " + in_quotes(base_path));
  }
  const base::UniqueFd fd(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd.valid()) return base::errno_error(errno, "unable to make the overlay " + in_quotes(path));
  if (base_status.st_uid != ::geteuid() &&
      ::fchown(fd.get(), base_status.st_uid, base_status.st_gid) != 0) {
    return base::errno_error(errno, "unable to give the overlay " + in_quotes(path) +
                                        " to the owner of " + in_quotes(base_path));
  }
  const mode_t mode = S_ISREG(base_status.st_mode) ? base_status.st_mode & 0666U : 0600U;
  if (::fchmod(fd.get(), mode | 0600U) != 0) {
    return base::errno_error(errno, "unable to set the mode of " + in_quotes(path));
  }
  return {};
}

// The transaction flushes each image (QEMU: blockdev.c, external_snapshot_prepare), and so does the
// guest's own sync when it freezes. What is dirty in this host's page cache by now is written out
// beforehand. Only time depends on it, so a failure is no matter.
void flush_early(const qmp::Disk& disk) {
  if (disk.cache_no_flush) return;
  const base::UniqueFd fd(::open(disk.chain.front().path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.valid()) (void)::fdatasync(fd.get());
}

}  // namespace

std::string OverlayStrategy::overlay_path(const qmp::Disk& disk) const {
  const StrategyContext& with = context();
  const std::string file = with.vm + "." + disk.name + std::string(kOverlayMark) + with.run +
                           std::string(kOverlaySuffix);
  const std::string directory = with.overlay_directory.empty()
                                    ? directory_of(disk.chain.front().path)
                                    : with.overlay_directory;
  return directory + "/" + file;
}

Result<void> OverlayStrategy::check_space() {
  std::map<dev_t, std::pair<std::string, std::uint64_t>> needed;
  for (const qmp::Disk& disk : disks_) {
    const std::string directory = directory_of(overlay_path(disk));
    struct stat status {};
    if (::stat(directory.c_str(), &status) != 0) {
      return base::errno_error(errno,
                               "unable to use the overlay directory " + in_quotes(directory));
    }
    auto& [name, bytes] = needed[status.st_dev];
    name = directory;
    bytes += disk.virtual_size / 100 * static_cast<std::uint64_t>(context().overlay_reserve);
  }
  for (const auto& [device, need] : needed) {
    struct statvfs status {};
    if (::statvfs(need.first.c_str(), &status) != 0) {
      return base::errno_error(errno,
                               "unable to ask for the free space of " + in_quotes(need.first));
    }
    const std::uint64_t free = static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize;
    if (free < need.second) {
      return Error(ErrorCode::kNoSpace, "unable to put overlays into " + in_quotes(need.first) +
                                            ": " + base::format_bytes(free) + " free, " +
                                            base::format_bytes(need.second) + " wanted")
          .with_hint(
              "the guest's writes go there during the copy: see overlay-directory and "
              "overlay-reserve");
    }
  }
  return {};
}

Result<void> OverlayStrategy::check(const qmp::BlockGraph& graph) {
  if (graph.disks.empty()) {
    return Error(ErrorCode::kNotFound, "the machine has no disk that could be backed up");
  }
  disks_ = graph.disks;
  for (const qmp::Disk& disk : disks_) {
    const std::string& path = disk.chain.front().path;
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) {
      return base::errno_error(
          errno, "unable to find the image " + in_quotes(path) + " of disk '" + disk.name + "'");
    }
    if (S_ISBLK(status.st_mode) && context().overlay_directory.empty()) {
      return Error(ErrorCode::kConfiguration,
                   "unable to put an overlay beside the device " + in_quotes(path))
          .with_hint("set overlay-directory");
    }
  }
  return check_space();
}

Result<void> OverlayStrategy::prepare(Deadline deadline, const std::stop_token& stop) {
  journal_ = Journal{context().run, std::string(kName), false, {}};
  for (std::size_t i = 0; i < disks_.size(); ++i) {
    const qmp::Disk& disk = disks_[i];
    journal_.disks.push_back({disk.name, overlay_node(context().run, i), overlay_path(disk),
                              disk.node, disk.chain.front().path, false});
  }
  if (auto saved = context().journal.save(journal_); !saved) return saved;
  for (std::size_t i = 0; i < disks_.size(); ++i) {
    if (stop.stop_requested()) return Error(ErrorCode::kCancelled, "interrupted");
    if (auto made = make_overlay(i, deadline); !made) return made;
    if (auto attached = attach_overlay(i, deadline); !attached) return attached;
  }
  for (const qmp::Disk& disk : disks_)
    flush_early(disk);
  // The last write before the freeze: from here on take() may come at any time.
  journal_.may_be_taken = true;
  return context().journal.save(journal_);
}

Result<void> OverlayStrategy::make_overlay(std::size_t index, Deadline deadline) {
  const qmp::Disk& disk = disks_[index];
  const JournalDisk& entry = journal_.disks[index];
  if (auto made = make_file_like(entry.overlay_path, entry.base_path); !made) return made;
  return context().images.create_overlay(entry.overlay_path, entry.base_path,
                                         disk.chain.front().format, disk.virtual_size, deadline);
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
