// SPDX-License-Identifier: MIT
//
// The guest's freeze record after the thaw. The guest's daemon completes it after it has answered,
// and nothing tells the host that a file in the guest has changed: it is read until it is that of
// this window and done, or the guest has had time for it.
//
// Threads: any; blocks for three seconds at most, beside what `read` takes.
#pragma once

#include <functional>
#include <stop_token>
#include <string>

#include "base/result.h"
#include "run/level.h"

namespace holdfast::host::run {

// What it came to stands in the evidence: the record as far as it was, or why there is none.
void await_record(Evidence& evidence, const std::stop_token& stop,
                  const std::function<base::Result<std::string>()>& read);

}  // namespace holdfast::host::run
