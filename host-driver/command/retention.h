// SPDX-License-Identifier: MIT
//
// The keep- settings of a machine put to work: by 'prune', and by a run after it has published.
//
// Threads: one at a time; removals only under the machine's lock in the repository.
#pragma once

#include <string>
#include <vector>

#include "config/settings.h"
#include "repository/prune.h"

namespace holdfast::host::command {

[[nodiscard]] repository::Rules rules_of(const config::KeepRules& keep);
// For backups.
[[nodiscard]] repository::Rules rules_of(const config::Settings& settings);

// What the administrator has to know of it, one error per thing, without the machine's name: what
// cannot be read, what cannot be restored, what ended the removal early.
[[nodiscard]] std::vector<base::Error> problems_of(const std::string& vm,
                                                   const repository::Pruned& pruned);

struct Retained {
  std::vector<std::string> removed;  // ids
  std::vector<base::Error> problems;
};

// After a run, which still holds the machine's lock: nothing is removed without a rule.
[[nodiscard]] Retained apply_retention(const config::Settings& settings,
                                       const std::stop_token& stop);

}  // namespace holdfast::host::command
