// SPDX-License-Identifier: MIT
//
// The options of one machine, once every layer has had its say, as settings.
//
// Threads: none of its own.
#pragma once

#include <string>

#include "base/options.h"
#include "base/result.h"
#include "config/settings.h"

namespace holdfast::host::config {

// Checks what no key can be asked for by itself: words, addresses, and what goes with what.
// kConfiguration if that is wrong; the error does not know which file has said it.
[[nodiscard]] base::Result<Settings> typed_settings(const std::string& vm,
                                                    const base::Options& options);

}  // namespace holdfast::host::config
