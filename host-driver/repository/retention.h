// SPDX-License-Identifier: MIT
//
// Which backups of a machine may go: a pure function of what there is and of the rules. It knows
// no clock: a machine that is not backed up any more keeps its last backups for ever. Hours, days,
// weeks (from Monday), months and years are UTC's, taken from the backups' ids.
//
// Threads: plain values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace holdfast::host::repository {

// How many to keep: of the newest ones, and of the newest ones of each hour, day and so on, as far
// back as there are backups. 0: none by this rule.
struct Rules {
  std::int64_t last = 0;
  std::int64_t hourly = 0;
  std::int64_t daily = 0;
  std::int64_t weekly = 0;
  std::int64_t monthly = 0;
  std::int64_t yearly = 0;

  [[nodiscard]] bool any() const {
    return last > 0 || hourly > 0 || daily > 0 || weekly > 0 || monthly > 0 || yearly > 0;
  }
};

struct Candidate {
  std::string id;
  std::string parent;  // the backup on which it stands; empty: none
  bool is_protected = false;
  bool is_used = false;      // somebody is reading it
  bool group_stays = false;  // the rules keep what another machine of its group has
};

struct Decision {
  std::string id;
  // Why it stays: "newest", "protected", "last", "daily", …; none: it may go.
  std::vector<std::string> reasons;
  bool broken = false;  // it stands on one that is missing, and cannot be restored

  [[nodiscard]] bool keep() const { return !reasons.empty(); }
};

// `candidates` oldest first; the decisions likewise. Beside what the rules keep, there stay: the
// newest one; what is protected or in use; all that another one which stays stands on; what stands
// on one that is missing, which never counts for a rule, since it cannot be restored; and all that
// is older than one of `unusable`, the ids of backups whose manifests cannot be read: they may
// stand on it.
[[nodiscard]] std::vector<Decision> decide(const std::vector<Candidate>& candidates,
                                           const std::vector<std::string>& unusable,
                                           const Rules& rules);

}  // namespace holdfast::host::repository
