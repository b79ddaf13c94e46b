// SPDX-License-Identifier: MIT
//
// The consistency level that the evidence supports, and why it is not higher. A pure function.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "repository/level.h"
#include "run/guest_record.h"
#include "run/window.h"

namespace holdfast::host::run {

struct Evidence {
  WindowOutcome window;
  EarlierRecord before;
  // After the thaw; or why there is none.
  std::optional<GuestRecord> record;
  std::string record_problem;
  std::string agent_version;
  // No freeze was tried, for this reason.
  std::string not_tried;
};

struct Verdict {
  repository::Level level = repository::Level::kCrash;
  // Why it is not higher; empty at `application`.
  std::vector<std::string> reasons;
  std::vector<std::string> notes;
};

[[nodiscard]] Verdict decide_level(const Evidence& evidence);
// kBelowRequired, with the reasons.
[[nodiscard]] base::Error below_required(const Verdict& verdict, const std::string& required);

}  // namespace holdfast::host::run
