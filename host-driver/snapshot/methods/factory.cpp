// SPDX-License-Identifier: MIT
#include "snapshot/methods/factory.h"

#include "base/text.h"
#include "snapshot/backup/backup_strategy.h"
#include "snapshot/btrfs/btrfs_strategy.h"
#include "snapshot/checkpoint/checkpoint_strategy.h"
#include "snapshot/lvm/lvm_strategy.h"
#include "snapshot/overlay/overlay_strategy.h"
#include "snapshot/reflink/reflink_strategy.h"

namespace holdfast::host::snapshot {

base::Result<std::unique_ptr<Strategy>> make_strategy(std::string_view name,
                                                      StrategyContext context) {
  if (name == OverlayStrategy::kName) {
    return std::unique_ptr<Strategy>(std::make_unique<OverlayStrategy>(std::move(context)));
  }
  if (name == BackupStrategy::kName) {
    return std::unique_ptr<Strategy>(std::make_unique<BackupStrategy>(std::move(context)));
  }
  if (name == BtrfsStrategy::kName) {
    return std::unique_ptr<Strategy>(std::make_unique<BtrfsStrategy>(std::move(context)));
  }
  if (name == LvmStrategy::kName) {
    return std::unique_ptr<Strategy>(std::make_unique<LvmStrategy>(std::move(context)));
  }
  if (name == ReflinkStrategy::kName) {
    return std::unique_ptr<Strategy>(std::make_unique<ReflinkStrategy>(std::move(context)));
  }
  if (name == CheckpointStrategy::kName) {
    return std::unique_ptr<Strategy>(std::make_unique<CheckpointStrategy>(context));
  }
  return base::Error(base::ErrorCode::kConfiguration,
                     "there is no method '" + base::printable(name, 40) + "'");
}

}  // namespace holdfast::host::snapshot
