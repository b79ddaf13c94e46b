// SPDX-License-Identifier: MIT
//
// What an interrupted run left, whichever method it was by: the next one may be by another.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "snapshot/strategy.h"

namespace holdfast::host::snapshot {

// One line for each thing done. First by the method that the journal names, then, for what stands
// in QEMU without a journal, by the others.
[[nodiscard]] base::Result<std::vector<std::string>> recover_leftovers(
    const StrategyContext& context, base::Deadline deadline, const std::stop_token& stop);

}  // namespace holdfast::host::snapshot
