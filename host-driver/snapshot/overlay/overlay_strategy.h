// SPDX-License-Identifier: MIT
//
// Method `overlay`: empty qcow2 overlays are made and attached beforehand; one transaction of
// blockdev-snapshot puts them on top of all disks at once (about a millisecond); the images below
// are read-only then and are copied at leisure: in full by qemu-img, or by a backup job of QEMU
// that copies what the dirty bitmap has marked. An active commit brings the guest's writes back.
//
// The bitmaps are enabled in the same transaction. The next one then records nothing but the
// commit, which writes exactly what the guest has written since; it is one step with the instant
// all the same, since nothing says that the image below stays unwritten until then.
//
// Threads, errors: as Strategy.
#pragma once

#include "snapshot/overlay_files.h"
#include "snapshot/strategy.h"

namespace holdfast::host::snapshot {

class OverlayStrategy final : public Strategy {
 public:
  static constexpr std::string_view kName = "overlay";

  explicit OverlayStrategy(StrategyContext context) : Strategy(std::move(context)) {}

  [[nodiscard]] std::string_view name() const override { return kName; }
  [[nodiscard]] base::Result<std::vector<DiskPlan>> check(const qmp::BlockGraph& graph,
                                                          const Parent& parent) override;
  [[nodiscard]] base::Result<void> prepare(const std::string& directory, base::Deadline deadline,
                                           const std::stop_token& stop) override;
  [[nodiscard]] base::Result<void> take(base::Deadline deadline) override;
  [[nodiscard]] base::Result<void> copy(std::size_t index, base::Deadline deadline,
                                        const std::stop_token& stop,
                                        const CopyProgress& progress) override;
  [[nodiscard]] base::Result<void> settle(base::Deadline deadline,
                                          const std::stop_token& stop) override;
  [[nodiscard]] base::Result<std::vector<std::string>> recover(
      base::Deadline deadline, const std::stop_token& stop) override;

 private:
  [[nodiscard]] OverlayPlace place() const;
  [[nodiscard]] base::Result<void> attach_overlay(std::size_t index, base::Deadline deadline);
  [[nodiscard]] base::Result<void> make_target(std::size_t index, base::Deadline deadline);
  [[nodiscard]] CopyJob copy_job(std::size_t index) const;
  // Of the bitmap that begins to record with this run.
  // The arguments of the one transaction.
  [[nodiscard]] base::Json transaction() const;
  [[nodiscard]] std::string next_bitmap(const qmp::Disk& disk) const;

  std::vector<qmp::Disk> disks_;
  Parent parent_;
  std::vector<DiskPlan> plan_;
  std::string directory_;
  Journal journal_;
};

}  // namespace holdfast::host::snapshot
