// SPDX-License-Identifier: MIT
#include "repository/prune.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <set>
#include <utility>

#include "base/file.h"
#include "base/text.h"
#include "repository/group.h"
#include "repository/overview.h"
#include "repository/paths.h"
#include "repository/use.h"

namespace holdfast::host::repository {

using base::Error;
using base::ErrorCode;
using base::Result;

namespace {

std::vector<Candidate> candidates_of(const Overview& listing) {
  std::vector<Candidate> candidates;
  candidates.reserve(listing.backups.size());
  for (const Summary& backup : listing.backups) {
    candidates.push_back(
        {backup.id, backup.parent, backup.is_protected, is_used(backup.directory)});
  }
  return candidates;
}

std::vector<std::string> unusable_of(const Overview& listing) {
  std::vector<std::string> ids;
  for (const BadBackup& bad : listing.bad)
    ids.push_back(bad.id);
  return ids;
}

bool is_member(const Summary& backup) {
  return !backup.group.members.empty();
}

// The machine and those that it has groups with, and theirs: what the same rules keep of all of
// them. A group stays as long as one of its members does, and what a member stands on stays with
// it, and so that one's group; so this goes on until nothing more has to stay.
class Related {
 public:
  static Result<Related> of(const Repository& repository, const std::string& vm, const Rules& rules,
                            Source source) {
    Related related(repository, rules, source);
    if (auto added = related.add(vm); !added) return std::move(added).error();
    while (related.keep_groups_together())
      related.decide_all();
    return related;
  }

  [[nodiscard]] Overview& listing_of(const std::string& vm) { return machines_.at(vm).listing; }
  [[nodiscard]] std::vector<Decision>& decisions_of(const std::string& vm) {
    return machines_.at(vm).decisions;
  }
  // Is any of it what an index says?
  [[nodiscard]] bool is_remembered() const {
    return std::any_of(machines_.begin(), machines_.end(),
                       [](const auto& machine) { return machine.second.listing.is_remembered; });
  }

 private:
  struct Machine {
    Overview listing;
    std::vector<Candidate> candidates;
    std::vector<Decision> decisions;
  };

  Related(const Repository& repository, const Rules& rules, Source source)
      : repository_(repository), rules_(rules), source_(source) {}

  Result<void> add(const std::string& vm) {
    if (machines_.contains(vm)) return {};
    auto listing = overview(repository_, vm, source_);
    if (!listing) return std::move(listing).error();
    std::set<std::string> others;
    for (const Summary& backup : listing->backups)
      others.insert(backup.group.members.begin(), backup.group.members.end());
    auto candidates = candidates_of(*listing);
    machines_.emplace(vm, Machine{std::move(*listing), std::move(candidates), {}});
    decide_one(machines_.at(vm));
    for (const std::string& other : others) {
      auto added = add(other);
      // Of a machine that has nothing there is nothing to keep.
      if (!added && added.error().code() != ErrorCode::kNotFound) return added;
    }
    return {};
  }

  void decide_one(Machine& machine) const {
    machine.decisions = decide(machine.candidates, unusable_of(machine.listing), rules_);
  }

  void decide_all() {
    for (auto& [vm, machine] : machines_)
      decide_one(machine);
  }

  // Is there one more that has to stay?
  bool keep_groups_together() {
    std::set<std::string> staying;
    for (const auto& [vm, machine] : machines_) {
      for (std::size_t i = 0; i < machine.decisions.size(); ++i) {
        const bool member = is_member(machine.listing.backups[i]);
        if (member && machine.decisions[i].keep()) staying.insert(machine.decisions[i].id);
      }
    }
    bool more = false;
    for (auto& [vm, machine] : machines_) {
      for (std::size_t i = 0; i < machine.decisions.size(); ++i) {
        if (machine.decisions[i].keep() || !staying.contains(machine.decisions[i].id)) continue;
        machine.candidates[i].group_stays = true;
        more = true;
      }
    }
    return more;
  }

  const Repository& repository_;
  const Rules& rules_;
  const Source source_;
  std::map<std::string, Machine> machines_;
};

// Nor can it be that there is one of which nothing is known: it may need the record.
bool all_are_gone(const Repository& repository, const Summary& backup) {
  return std::all_of(backup.group.members.begin(), backup.group.members.end(),
                     [&](const std::string& vm) {
                       const auto kind = kind_of(repository.path() + "/" + vm + "/" + backup.id);
                       return kind && *kind == Kind::kMissing;
                     });
}

// Nothing goes for what an index says: then all is decided once more, by the manifests.
Result<Related> plan(const Repository& repository, const std::string& vm, const Rules& rules,
                     Removal removal) {
  auto related = Related::of(repository, vm, rules, Source::kIndex);
  if (!related || removal == Removal::kNone || !related->is_remembered()) return related;
  const std::vector<Decision>& decisions = related->decisions_of(vm);
  const bool all_stay = std::all_of(decisions.begin(), decisions.end(),
                                    [](const Decision& decision) { return decision.keep(); });
  if (all_stay) return related;
  return Related::of(repository, vm, rules, Source::kManifests);
}

}  // namespace

Result<void> require_rule(const Rules& rules, const std::string& vm) {
  if (rules.any()) return {};
  return Error(ErrorCode::kConfiguration, "no rule says which backups of '" + vm + "' to keep")
      .with_hint("set keep-last, keep-daily or another of these keys");
}

Result<Pruned> prune(const Repository& repository, const std::string& vm, const Rules& rules,
                     Removal removal, const std::stop_token& stop) {
  if (auto ruled = require_rule(rules, vm); !ruled) return std::move(ruled).error();
  auto related = plan(repository, vm, rules, removal);
  if (!related) return std::move(related).error();
  Overview& listing = related->listing_of(vm);
  std::vector<Decision>& decisions = related->decisions_of(vm);
  Pruned pruned;
  pruned.unusable = std::move(listing.bad);
  for (std::size_t i = 0; i < decisions.size(); ++i) {
    Pruned::One one{std::move(decisions[i])};
    one.bytes = listing.backups[i].bytes;
    pruned.backups.push_back(std::move(one));
  }
  if (removal == Removal::kNone) return pruned;
  // Newest first, and so a backup before those on which it stands.
  for (std::size_t i = pruned.backups.size(); i-- > 0;) {
    Pruned::One* const one = &pruned.backups[i];
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
    const Summary& backup = listing.backups[i];
    if (is_member(backup) && all_are_gone(repository, backup)) {
      (void)forget_group(repository.path(), backup.id);
    }
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
