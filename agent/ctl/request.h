// SPDX-License-Identifier: MIT
//
// One request to holdfastd, and its answer.
//
// Threads: blocks the calling thread, at most for as long as `limit` says.
#pragma once

#include <string>

#include "base/clock.h"
#include "base/control_protocol.h"
#include "base/json_codec.h"
#include "base/result.h"

namespace holdfast::ctl {

struct Reply {
  base::ReplyLine line;
  // Of verbs that have one; null otherwise.
  base::Json document;
};

// kDaemonUnreachable if there is no answer; a refusal is an answer.
[[nodiscard]] base::Result<Reply> ask(const std::string& socket, base::Verb verb,
                                      base::Millis limit);

}  // namespace holdfast::ctl
