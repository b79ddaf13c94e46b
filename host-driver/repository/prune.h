// SPDX-License-Identifier: MIT
//
// Removes the backups of a machine that no rule keeps.
//
// Threads: one at a time; only under the machine's lock in the repository, unless nothing is
// removed.
#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"
#include "repository/repository.h"
#include "repository/retention.h"

namespace holdfast::host::repository {

struct Pruned {
  struct One {
    Decision decision;
    std::uint64_t bytes = 0;  // of its images
    bool removed = false;
  };
  std::vector<One> backups;         // oldest first
  std::vector<BadBackup> unusable;  // never removed
  // What ended the removal early. What was removed until then is removed.
  std::optional<base::Error> problem;
};

enum class Removal { kNone, kReal };

// kConfiguration without any rule: nothing said must never mean that nothing is kept.
[[nodiscard]] base::Result<void> require_rule(const Rules& rules, const std::string& vm);

// Asks for a rule as well. A backup goes before those on which it stands, so that a crash leaves no
// broken chain. One that somebody reads stays until another time.
[[nodiscard]] base::Result<Pruned> prune(const Repository& repository, const std::string& vm,
                                         const Rules& rules, Removal removal,
                                         const std::stop_token& stop);

// Whether a backup stays whatever the rules say. Durable when it returns; no change is no error.
[[nodiscard]] base::Result<void> set_protected(const Backup& backup, bool wanted);

}  // namespace holdfast::host::repository
