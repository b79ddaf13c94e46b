// SPDX-License-Identifier: MIT
//
// Method `overlay` for a machine of libvirt's: as snapshot::OverlayStrategy, but libvirt puts the
// overlays on top of the disks, in one call, and keeps its definition of the domain in step; so a
// machine that is started again meanwhile goes on with the overlay. Nothing goes to QEMU behind
// libvirt's back.
//
// Threads, errors: as snapshot::Strategy; its context's `monitor` is the bridge.
#pragma once

#include "snapshot/overlay_files.h"
#include "snapshot/strategy.h"

namespace holdfast::host::libvirt {

class OverlayStrategy final : public snapshot::Strategy {
 public:
  static constexpr std::string_view kName = "overlay";

  // `remote`: the host whose libvirt it is; empty for this one.
  OverlayStrategy(snapshot::StrategyContext context, std::string remote)
      : Strategy(std::move(context)), remote_(std::move(remote)) {}

  [[nodiscard]] std::string_view name() const override { return kName; }
  [[nodiscard]] base::Result<std::vector<snapshot::DiskPlan>> check(
      const qmp::BlockGraph& graph, const snapshot::Parent& parent) override;
  [[nodiscard]] base::Result<void> prepare(const std::string& directory, base::Deadline deadline,
                                           const std::stop_token& stop) override;
  [[nodiscard]] base::Result<void> take(base::Deadline deadline) override;
  [[nodiscard]] base::Result<void> copy(std::size_t index, base::Deadline deadline,
                                        const std::stop_token& stop,
                                        const snapshot::CopyProgress& progress) override;
  [[nodiscard]] base::Result<void> settle(base::Deadline deadline,
                                          const std::stop_token& stop) override;
  [[nodiscard]] base::Result<std::vector<std::string>> recover(
      base::Deadline deadline, const std::stop_token& stop) override;

 private:
  [[nodiscard]] snapshot::OverlayPlace place() const;
  [[nodiscard]] base::Result<void> check_reach() const;

  std::string remote_;
  std::string directory_;
  std::vector<qmp::Disk> disks_;
  // All that libvirt must leave alone.
  std::vector<std::string> others_;
  snapshot::Journal journal_;
};

}  // namespace holdfast::host::libvirt
