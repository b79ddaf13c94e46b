// SPDX-License-Identifier: MIT
#include "repository/prune.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/file.h"
#include "base/text.h"
#include "repository/paths.h"
#include "repository/use.h"

namespace holdfast::host::repository {

using base::Error;
using base::ErrorCode;
using base::Result;

Result<void> require_rule(const Rules& rules, const std::string& vm) {
  if (rules.any()) return {};
  return Error(ErrorCode::kConfiguration, "no rule says which backups of '" + vm + "' to keep")
      .with_hint("set keep-last, keep-daily or another of these keys");
}

Result<Pruned> prune(const Repository& repository, const std::string& vm, const Rules& rules,
                     Removal removal, const std::stop_token& stop) {
  if (auto ruled = require_rule(rules, vm); !ruled) return std::move(ruled).error();
  auto listing = repository.list(vm);
  if (!listing) return std::move(listing).error();
  std::vector<Candidate> candidates;
  for (const Backup& backup : listing->backups) {
    candidates.push_back({backup.manifest.id, backup.manifest.parent(), backup.is_protected,
                          is_used(backup.directory)});
  }
  std::vector<std::string> unusable;
  for (const BadBackup& bad : listing->bad)
    unusable.push_back(bad.id);

  Pruned pruned;
  pruned.unusable = std::move(listing->bad);
  std::vector<Decision> decisions = decide(candidates, unusable, rules);
  for (std::size_t i = 0; i < decisions.size(); ++i) {
    Pruned::One one{std::move(decisions[i])};
    one.bytes = listing->backups[i].manifest.stored_bytes();
    pruned.backups.push_back(std::move(one));
  }
  if (removal == Removal::kNone) return pruned;
  // Newest first, and so a backup before those on which it stands.
  for (auto one = pruned.backups.rbegin(); one != pruned.backups.rend(); ++one) {
    if (one->decision.keep()) continue;
    if (stop.stop_requested()) {
      pruned.problem =
          Error(ErrorCode::kCancelled, "unable to remove '" + one->decision.id + "': interrupted");
      break;
    }
    if (auto gone = repository.remove_backup(vm, one->decision.id); !gone) {
      pruned.problem = std::move(gone).error();
      break;
    }
    one->removed = true;
  }
  return pruned;
}

Result<void> set_protected(const Backup& backup, bool wanted) {
  const std::string path = backup.directory + "/" + std::string(kProtectedName);
  if (wanted == backup.is_protected) return {};
  if (wanted) {
    return base::write_file(path, "holdfast prune keeps this backup. See holdfast(1).\n", 0600,
                            base::Durable::kYes);
  }
  if (::unlink(path.c_str()) != 0) {
    return base::errno_error(errno, "unable to remove '" + base::printable(path) + "'");
  }
  return flush_directory(backup.directory);
}

}  // namespace holdfast::host::repository
