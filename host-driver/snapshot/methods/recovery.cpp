// SPDX-License-Identifier: MIT
#include "snapshot/methods/recovery.h"

#include "snapshot/methods/factory.h"

namespace holdfast::host::snapshot {

using base::Result;

Result<std::vector<std::string>> recover_leftovers(const StrategyContext& context,
                                                   base::Deadline deadline,
                                                   const std::stop_token& stop) {
  const auto journal = context.journal.load();
  if (!journal) return journal.error();
  std::vector<std::string> order(kMethods.begin(), kMethods.end());
  if (*journal) {
    std::erase(order, (*journal)->method);
    order.insert(order.begin(), (*journal)->method);
  }
  std::vector<std::string> done;
  for (const std::string& method : order) {
    auto strategy = make_strategy(method, context);
    if (!strategy) return std::move(strategy).error();
    auto lines = (*strategy)->recover(deadline, stop);
    if (!lines) return lines;
    done.insert(done.end(), lines->begin(), lines->end());
  }
  return done;
}

}  // namespace holdfast::host::snapshot
