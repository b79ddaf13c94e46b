// SPDX-License-Identifier: MIT
#include "command/retention.h"

namespace holdfast::host::command {

using base::Error;
using base::ErrorCode;
using base::Result;
using repository::Pruned;
using repository::Removal;
using repository::Repository;

repository::Rules rules_of(const config::KeepRules& keep) {
  return {keep.last, keep.hourly, keep.daily, keep.weekly, keep.monthly, keep.yearly};
}

repository::Rules rules_of(const config::Settings& settings) {
  return rules_of(settings.keep);
}

std::vector<Error> problems_of(const std::string& vm, const Pruned& pruned) {
  std::vector<Error> problems;
  for (const repository::BadBackup& bad : pruned.unusable) {
    problems.push_back(base::wrap(bad.problem, bad.id + ": not removed, nor anything older"));
  }
  for (const Pruned::One& one : pruned.backups) {
    if (!one.decision.broken) continue;
    problems.push_back(
        Error(ErrorCode::kCorrupt, one.decision.id + ": not removed: its chain is broken")
            .with_hint("holdfast show " + vm + " " + one.decision.id));
  }
  if (pruned.problem) problems.push_back(*pruned.problem);
  return problems;
}

Retained apply_retention(const config::Settings& settings, const std::stop_token& stop) {
  Retained retained;
  const repository::Rules rules = rules_of(settings);
  if (!rules.any()) return retained;
  const auto repository = Repository::open(settings.repository);
  const auto pruned = repository
                          ? repository::prune(*repository, settings.vm, rules, Removal::kReal, stop)
                          : Result<Pruned>(repository.error());
  if (!pruned) {
    retained.problems.push_back(pruned.error());
    return retained;
  }
  for (const Pruned::One& one : pruned->backups) {
    if (one.removed) retained.removed.push_back(one.decision.id);
  }
  retained.problems = problems_of(settings.vm, *pruned);
  return retained;
}

}  // namespace holdfast::host::command
