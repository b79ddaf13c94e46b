// SPDX-License-Identifier: MIT
#include "container/lvm_root.h"

#include "base/text.h"

namespace holdfast::host::container {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::ProcessRunner;
using base::Result;

namespace {

Error nowhere(Error cause) {
  return base::wrap(std::move(cause), "it is not on btrfs")
      .with_hint("see CONTAINERS in holdfast(1)");
}

}  // namespace

Result<std::unique_ptr<RootSnapshot>> LvmRoot::of(const std::string& root, const std::string& name,
                                                  int share, ProcessRunner& processes,
                                                  Deadline deadline) {
  snapshot::VolumeSnapshots volumes(processes, share);
  if (auto looked = volumes.look(deadline); !looked) return nowhere(std::move(looked).error());
  auto volume = volumes.volume_of(root, name);
  if (!volume && volume.error().code() == ErrorCode::kUnsupported) {
    return nowhere(std::move(volume).error());
  }
  if (!volume) return std::move(volume).error();
  snapshot::JournalSnapshot place{*volume, snapshot::volume_snapshot_path(*volume, name)};
  if (auto room = volumes.check_room({place}); !room) return std::move(room).error();
  return std::unique_ptr<RootSnapshot>(
      new LvmRoot(root, std::move(place), processes, std::move(volumes)));
}

// These filesystems have no subvolumes.
Result<std::vector<std::string>> LvmRoot::left_out(Deadline /*deadline*/) const {
  return std::vector<std::string>();
}

Result<void> LvmRoot::take(Deadline deadline) {
  return volumes_.take(place(), deadline);
}

Result<std::string> LvmRoot::tree() {
  if (!mounted_) {
    const auto filesystem = snapshot::filesystem_of(root_directory());
    if (!filesystem) return filesystem.error();
    auto mounted = snapshot::MountedSnapshot::of(place().path, *filesystem);
    if (!mounted) return std::move(mounted).error();
    mounted_.emplace(std::move(*mounted));
  }
  return mounted_->path_of(root_directory());
}

Result<void> LvmRoot::is_intact(Deadline deadline) {
  return volumes_.is_intact(place(), deadline);
}

Result<void> LvmRoot::remove(Deadline deadline) {
  mounted_.reset();
  return volumes_.remove(place(), deadline);
}

}  // namespace holdfast::host::container
