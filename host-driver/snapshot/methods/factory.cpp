// SPDX-License-Identifier: MIT
#include "snapshot/methods/factory.h"

#include "base/text.h"
#include "snapshot/backup/backup_strategy.h"
#include "snapshot/overlay/overlay_strategy.h"

namespace holdfast::host::snapshot {

base::Result<std::unique_ptr<Strategy>> make_strategy(std::string_view name,
                                                      StrategyContext context) {
  if (name == OverlayStrategy::kName) {
    return std::unique_ptr<Strategy>(std::make_unique<OverlayStrategy>(std::move(context)));
  }
  if (name == BackupStrategy::kName) {
    return std::unique_ptr<Strategy>(std::make_unique<BackupStrategy>(std::move(context)));
  }
  return base::Error(base::ErrorCode::kConfiguration,
                     "there is no method '" + base::printable(name, 40) + "'");
}

}  // namespace holdfast::host::snapshot
