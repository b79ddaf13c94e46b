// SPDX-License-Identifier: MIT
//
// A window and its evidence as they stand in a manifest (design 4.1).
//
// Threads: plain functions.
#pragma once

#include "base/json_codec.h"
#include "run/level.h"

namespace holdfast::host::run {

// Microseconds are as fine as this gets.
[[nodiscard]] double milliseconds(Span span);

[[nodiscard]] base::Json evidence_json(const Evidence& evidence, const Verdict& verdict);
[[nodiscard]] base::Json window_json(const WindowOutcome& window);

}  // namespace holdfast::host::run
