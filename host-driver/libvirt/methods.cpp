// SPDX-License-Identifier: MIT
#include "libvirt/methods.h"

#include "base/text.h"
#include "libvirt/backup_strategy.h"
#include "libvirt/overlay_strategy.h"

namespace holdfast::host::libvirt {

using base::Error;
using base::ErrorCode;
using base::Result;
using snapshot::Strategy;

Result<std::unique_ptr<Strategy>> make_strategy(const std::string& name,
                                                snapshot::StrategyContext context,
                                                const std::string& remote) {
  if (name == OverlayStrategy::kName) {
    return std::unique_ptr<Strategy>(std::make_unique<OverlayStrategy>(std::move(context), remote));
  }
  if (name == BackupStrategy::kName) {
    return std::unique_ptr<Strategy>(std::make_unique<BackupStrategy>(std::move(context), remote));
  }
  return Error(ErrorCode::kConfiguration,
               "there is no method '" + base::printable(name, 40) + "' for machines of libvirt");
}

Result<std::vector<std::string>> recover_leftovers(const snapshot::StrategyContext& context,
                                                   const std::string& remote,
                                                   base::Deadline deadline,
                                                   const std::stop_token& stop) {
  const auto journal = context.journal.load();
  if (!journal) return journal.error();
  std::vector<std::string> order{std::string(OverlayStrategy::kName),
                                 std::string(BackupStrategy::kName)};
  if (*journal && (*journal)->method == BackupStrategy::kName) std::swap(order[0], order[1]);
  std::vector<std::string> done;
  for (const std::string& method : order) {
    auto strategy = make_strategy(method, context, remote);
    if (!strategy) return std::move(strategy).error();
    auto lines = (*strategy)->recover(deadline, stop);
    if (!lines) return lines;
    done.insert(done.end(), lines->begin(), lines->end());
  }
  return done;
}

}  // namespace holdfast::host::libvirt
