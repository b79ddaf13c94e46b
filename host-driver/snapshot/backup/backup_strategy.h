// SPDX-License-Identifier: MIT
//
// Method `backup`: one transaction starts a backup job of QEMU for each disk. From that instant on
// QEMU copies what the guest is about to overwrite before it lets it do so, and everything else at
// leisure. Nothing is put on top of the disks, so there is nothing to commit back and no room
// wanted beside the images; in exchange the guest's writes wait for the target.
//
// The next dirty bitmaps record from shortly before the instant on: what is written until then they
// mark needlessly, and nothing is missed.
//
// The jobs copy nothing at leisure before the guest is thawed. They are grouped: they end together,
// and when one fails, all do. The targets are attached beforehand, with room set aside for them
// (room.h). A target that fails fails the job. It never fails a write of the guest where QEMU can
// be told so (on-cbw-error, since QEMU 10.1).
//
// Threads, errors: as Strategy.
#pragma once

#include "snapshot/strategy.h"

namespace holdfast::host::snapshot {

class BackupStrategy final : public Strategy {
 public:
  static constexpr std::string_view kName = "backup";

  explicit BackupStrategy(StrategyContext context) : Strategy(std::move(context)) {}

  [[nodiscard]] std::string_view name() const override { return kName; }
  [[nodiscard]] base::Result<std::vector<DiskPlan>> check(const qmp::BlockGraph& graph,
                                                          const Parent& parent) override;
  [[nodiscard]] base::Result<void> prepare(const std::string& directory, base::Deadline deadline,
                                           const std::stop_token& stop) override;
  [[nodiscard]] base::Result<void> take(base::Deadline deadline) override;
  // The first call waits for all disks: they are copied side by side, and its progress is that of
  // all.
  [[nodiscard]] base::Result<void> copy(std::size_t index, base::Deadline deadline,
                                        const std::stop_token& stop,
                                        const CopyProgress& progress) override;
  [[nodiscard]] base::Result<void> settle(base::Deadline deadline,
                                          const std::stop_token& stop) override;
  [[nodiscard]] base::Result<std::vector<std::string>> recover(
      base::Deadline deadline, const std::stop_token& stop) override;

 private:
  [[nodiscard]] std::string target_path(std::size_t index) const;
  [[nodiscard]] CopyJob copy_job(std::size_t index) const;
  // The arguments of the one transaction.
  [[nodiscard]] base::Json transaction() const;
  [[nodiscard]] std::string next_bitmap(const qmp::Disk& disk) const;
  [[nodiscard]] base::Result<void> begin_recording(const qmp::Disk& disk, base::Deadline deadline);
  [[nodiscard]] base::Result<void> make_target(std::size_t index, base::Deadline deadline);
  // Of all copies together, in percent; negative if nobody knows.
  [[nodiscard]] double progress_of_all();
  // Why the copy of this disk has really failed.
  [[nodiscard]] base::Error first_failure(std::size_t index, base::Error error);

  std::vector<qmp::Disk> disks_;
  Parent parent_;
  std::vector<DiskPlan> plan_;
  std::string directory_;
  bool guest_goes_first_ = false;
};

}  // namespace holdfast::host::snapshot
