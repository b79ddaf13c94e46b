// SPDX-License-Identifier: MIT
#include <algorithm>
#include <iostream>

#include "base/text.h"
#include "command/commands.h"
#include "command/notified.h"
#include "command/retention.h"
#include "repository/lock.h"
#include "ui/table.h"

namespace holdfast::host::command {

using base::Json;
using base::Result;
using repository::Pruned;
using repository::Removal;
using repository::Repository;

namespace {

Result<Pruned> prune_one(const config::Settings& settings, bool dry_run, Environment& environment) {
  const auto repository = Repository::open(settings.repository);
  if (!repository) return repository.error();
  const auto directory = repository->vm_directory(settings.vm);
  if (!directory) return directory.error();
  if (dry_run) {
    return repository::prune(*repository, settings.vm, rules_of(settings), Removal::kNone, {});
  }
  const auto lock =
      repository::Lock::acquire(*directory + "/.lock", "'" + settings.vm + "' in this repository");
  if (!lock) return lock.error();
  if (auto removed = repository->remove_incomplete(settings.vm); !removed) {
    return std::move(removed).error();
  }
  return repository::prune(*repository, settings.vm, rules_of(settings), Removal::kReal,
                           environment.stop);
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words)
    text += (text.empty() ? "" : ", ") + word;
  return text;
}

Json as_json(const std::string& vm, bool dry_run, const Pruned& pruned) {
  Json backups = Json::array();
  for (const Pruned::One& one : pruned.backups) {
    backups.push_back({{"id", one.decision.id},
                       {"keep", one.decision.keep()},
                       {"reasons", one.decision.reasons},
                       {"bytes", one.bytes},
                       {"removed", one.removed}});
  }
  Json unusable = Json::array();
  for (const repository::BadBackup& bad : pruned.unusable)
    unusable.push_back({{"id", bad.id}, {"problem", bad.problem.text()}});
  return {{"vm", vm},
          {"dry_run", dry_run},
          {"backups", std::move(backups)},
          {"unusable", std::move(unusable)},
          {"problem", pruned.problem ? Json(pruned.problem->text()) : Json()}};
}

void print_plan(const std::string& vm, const Pruned& pruned) {
  std::vector<ui::Row> rows{{"VM", "ID", "SIZE", "ACTION", "BECAUSE"}};
  for (const Pruned::One& one : pruned.backups) {
    rows.push_back({vm, one.decision.id, base::format_bytes(one.bytes),
                    one.decision.keep() ? "keep" : "remove",
                    one.decision.keep() ? joined(one.decision.reasons) : "no rule keeps it"});
  }
  std::cout << ui::format_table(rows);
}

// "2 backups removed (1.4 GiB), 12 kept"
std::string done_with(const Pruned& pruned) {
  std::size_t removed = 0;
  std::uint64_t freed = 0;
  for (const Pruned::One& one : pruned.backups) {
    if (!one.removed) continue;
    ++removed;
    freed += one.bytes;
  }
  return std::to_string(removed) + (removed == 1 ? " backup" : " backups") + " removed (" +
         base::format_bytes(freed) + "), " + std::to_string(pruned.backups.size() - removed) +
         " kept";
}

// What is wrong, and the exit status that says so.
void report(const Pruned& pruned, notify::Told& told) {
  told.problems = problems_of(told.vm, pruned);
  for (const base::Error& problem : told.problems) {
    complain(base::wrap(problem, told.vm));
    told.status = base::host_exit_status(problem.code());
  }
}

Result<int> prune_those(const Invocation& invocation, Environment& environment,
                        std::vector<notify::Told>& tolds) {
  // Nothing goes before all that was said makes sense.
  std::vector<config::Settings> machines;
  for (const std::string& vm : invocation.arguments) {
    auto settings = settings_for(invocation, vm, Needs::kRepository);
    if (!settings) return std::move(settings).error();
    if (auto ruled = repository::require_rule(rules_of(*settings), vm); !ruled) {
      return std::move(ruled).error();
    }
    machines.push_back(std::move(*settings));
  }
  Json all = Json::array();
  int status = 0;
  for (const config::Settings& settings : machines) {
    const auto pruned = prune_one(settings, invocation.dry_run, environment);
    notify::Told told{.vm = settings.vm};
    if (!pruned) {
      told.status = base::host_exit_status(pruned.error().code());
      told.problems = {pruned.error()};
      tolds.push_back(std::move(told));
      if (machines.size() == 1) return pruned.error();
      complain(base::wrap(pruned.error(), settings.vm));
      status = 1;
      continue;
    }
    told.facts = {done_with(*pruned)};
    // A plan that is printed is for nobody else.
    if (invocation.json || !invocation.dry_run) {
      told.detail = as_json(settings.vm, invocation.dry_run, *pruned);
    }
    if (invocation.json) {
      all.push_back(told.detail);
    } else if (invocation.dry_run) {
      print_plan(settings.vm, *pruned);
    } else if (!invocation.quiet) {
      std::cout << settings.vm << ": " << told.facts.front() << std::endl;
    }
    report(*pruned, told);
    status = std::max(status, told.status);
    tolds.push_back(std::move(told));
  }
  if (invocation.json) std::cout << base::to_document(all);
  return status;
}

}  // namespace

Result<int> prune(const Invocation& invocation, Environment& environment) {
  const auto run = [&](std::vector<notify::Told>& tolds) {
    return prune_those(invocation, environment, tolds);
  };
  // Nothing is done that anybody had to be told of.
  std::vector<notify::Told> untold;
  return invocation.dry_run ? run(untold) : notified(invocation, environment, run);
}

}  // namespace holdfast::host::command
