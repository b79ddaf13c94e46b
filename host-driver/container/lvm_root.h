// SPDX-License-Identifier: MIT
//
// The root of a container on the filesystem of a logical volume; see root_snapshot.h. Its snapshot
// is read from by a mount that nobody else sees, and that is gone with this process
// (snapshot/lvm/mounted_snapshot.h).
#pragma once

#include <optional>

#include "container/root_snapshot.h"
#include "snapshot/lvm/mounted_snapshot.h"
#include "snapshot/lvm/volume_snapshots.h"

namespace holdfast::host::container {

class LvmRoot final : public RootSnapshot {
 public:
  [[nodiscard]] static base::Result<std::unique_ptr<RootSnapshot>> of(
      const std::string& root, const std::string& name, int share, base::ProcessRunner& processes,
      base::Deadline deadline);

  [[nodiscard]] std::string_view method() const override { return "lvm"; }
  [[nodiscard]] base::Result<std::vector<std::string>> left_out(
      base::Deadline deadline) const override;
  [[nodiscard]] base::Result<void> take(base::Deadline deadline) override;
  [[nodiscard]] base::Result<std::string> tree() override;
  [[nodiscard]] base::Result<void> is_intact(base::Deadline deadline) override;
  [[nodiscard]] base::Result<void> remove(base::Deadline deadline) override;

 private:
  LvmRoot(const std::string& root, snapshot::JournalSnapshot place, base::ProcessRunner& processes,
          snapshot::VolumeSnapshots volumes)
      : RootSnapshot(root, std::move(place), processes), volumes_(std::move(volumes)) {}

  snapshot::VolumeSnapshots volumes_;
  std::optional<snapshot::MountedSnapshot> mounted_;
};

}  // namespace holdfast::host::container
