// SPDX-License-Identifier: MIT
//
// The methods for machines of libvirt's, by name; as snapshot/methods/.
#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "snapshot/strategy.h"

namespace holdfast::host::libvirt {

// kConfiguration for a name that nobody bears here.
[[nodiscard]] base::Result<std::unique_ptr<snapshot::Strategy>> make_strategy(
    const std::string& name, snapshot::StrategyContext context, const std::string& remote);

// First by the method that the journal names, then by the others. One line for each thing done.
[[nodiscard]] base::Result<std::vector<std::string>> recover_leftovers(
    const snapshot::StrategyContext& context, const std::string& remote, base::Deadline deadline,
    const std::stop_token& stop);

}  // namespace holdfast::host::libvirt
