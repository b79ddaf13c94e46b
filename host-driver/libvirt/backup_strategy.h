// SPDX-License-Identifier: MIT
//
// Method `backup` for a machine of libvirt's: one call of libvirt's (virDomainBackupBegin, push
// mode) starts a backup job for every disk at the same instant, and makes the checkpoint from which
// the next increment will be. The images are made here beforehand; libvirt writes to nothing else.
//
// Libvirt has one backup of a domain at a time. Whether the one that runs is ours, its targets say:
// an interrupted run's stand in the journal, or in a draft that has been removed since.
//
// Threads, errors: as snapshot::Strategy; its context's `monitor` is the bridge.
#pragma once

#include "libvirt/checkpoints.h"
#include "libvirt/reach.h"
#include "snapshot/strategy.h"

namespace holdfast::host::libvirt {

class BackupStrategy final : public snapshot::Strategy {
 public:
  static constexpr std::string_view kName = "backup";

  // `remote`: the host whose libvirt it is; empty for this one.
  BackupStrategy(snapshot::StrategyContext context, std::string remote)
      : Strategy(std::move(context)), remote_(std::move(remote)) {}

  [[nodiscard]] std::string_view name() const override { return kName; }
  [[nodiscard]] base::Result<std::vector<snapshot::DiskPlan>> check(
      const qmp::BlockGraph& graph, const snapshot::Parent& parent) override;
  [[nodiscard]] base::Result<void> prepare(const std::string& directory, base::Deadline deadline,
                                           const std::stop_token& stop) override;
  [[nodiscard]] base::Result<void> take(base::Deadline deadline) override;
  // The first call waits for all disks: they are copied side by side, and its progress is that of
  // all.
  [[nodiscard]] base::Result<void> copy(std::size_t index, base::Deadline deadline,
                                        const std::stop_token& stop,
                                        const snapshot::CopyProgress& progress) override;
  [[nodiscard]] base::Result<void> settle(base::Deadline deadline,
                                          const std::stop_token& stop) override;
  [[nodiscard]] base::Result<std::vector<std::string>> recover(
      base::Deadline deadline, const std::stop_token& stop) override;

 private:
  [[nodiscard]] std::string target_path(std::size_t index) const;
  [[nodiscard]] base::Result<void> make_target(std::size_t index, base::Deadline deadline);
  [[nodiscard]] base::Json checkpoint() const;
  [[nodiscard]] base::Result<void> limit(const std::stop_token& stop);

  std::string remote_;
  std::vector<qmp::Disk> disks_;
  // All that a checkpoint must leave out.
  std::vector<std::string> others_;
  snapshot::Parent parent_;
  std::vector<snapshot::DiskPlan> plan_;
  std::string directory_;
  snapshot::Journal journal_;
  bool copied_ = false;
};

}  // namespace holdfast::host::libvirt
