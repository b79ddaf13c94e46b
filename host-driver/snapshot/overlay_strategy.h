// SPDX-License-Identifier: MIT
//
// Method `overlay`: empty qcow2 overlays are made and attached beforehand; one transaction of
// blockdev-snapshot puts them on top of all disks at once (about a millisecond); the images below
// are read-only then and are copied at leisure; an active commit brings the guest's writes back.
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
  [[nodiscard]] base::Result<void> check(const qmp::BlockGraph& graph) override;
  [[nodiscard]] base::Result<void> prepare(base::Deadline deadline,
                                           const std::stop_token& stop) override;
  [[nodiscard]] base::Result<void> take(base::Deadline deadline) override;
  [[nodiscard]] base::Result<std::vector<Source>> sources() override;
  [[nodiscard]] base::Result<void> settle(base::Deadline deadline,
                                          const std::stop_token& stop) override;
  [[nodiscard]] base::Result<std::vector<std::string>> recover(
      base::Deadline deadline, const std::stop_token& stop) override;

 private:
  [[nodiscard]] OverlayPlace place() const;
  [[nodiscard]] base::Result<void> attach_overlay(std::size_t index, base::Deadline deadline);

  std::vector<qmp::Disk> disks_;
  Journal journal_;
};

}  // namespace holdfast::host::snapshot
