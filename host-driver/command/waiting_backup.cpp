// SPDX-License-Identifier: MIT
#include "command/waiting_backup.h"

#include <algorithm>
#include <optional>
#include <tuple>

#include "base/text.h"
#include "repository/proof.h"
#include "repository/repository.h"

namespace holdfast::host::command {

using base::Error;
using base::ErrorCode;
using base::Result;
using repository::ProofResult;
using repository::Repository;

namespace {

struct Candidate {
  std::string last;  // when any of its backups was tried; empty: never
  std::string begin;
  std::string vm;
  std::string id;

  [[nodiscard]] bool before(const Candidate& other) const {
    return std::tie(last, begin, vm, id) < std::tie(other.last, other.begin, other.vm, other.id);
  }
};

// Nothing: none of its backups waits.
Result<std::optional<Candidate>> candidate_of(const std::string& vm,
                                              const config::Settings& settings) {
  const auto repository = Repository::open(settings.repository);
  if (!repository) return repository.error();
  const auto listing = repository->list(vm);
  if (!listing) {
    if (listing.error().code() == ErrorCode::kNotFound) return std::optional<Candidate>();
    return listing.error();
  }
  if (listing->backups.empty()) return std::optional<Candidate>();
  const repository::Manifest& latest = listing->backups.back().manifest;
  // A container has nothing that could be started.
  if (latest.archive) return std::optional<Candidate>();
  Candidate candidate{{}, latest.begin, vm, latest.id};
  bool waits = true;
  for (const repository::Backup& backup : listing->backups) {
    // One that cannot be read is none.
    const auto proof = repository::read_proof(backup.directory);
    if (!proof || !*proof) continue;
    candidate.last = std::max(candidate.last, (*proof)->at);
    if (backup.manifest.id == latest.id) waits = (*proof)->result == ProofResult::kUndecided;
  }
  return waits ? std::optional<Candidate>(std::move(candidate)) : std::nullopt;
}

}  // namespace

Result<WaitingBackup> find_waiting_backup(const Invocation& invocation) {
  const auto names = config::configured_vms(invocation.config_directory);
  if (!names) return names.error();
  WaitingBackup waiting;
  std::optional<Candidate> first;
  bool any = false;
  for (const std::string& vm : *names) {
    const auto settings = settings_for(invocation, vm, Needs::kRepository);
    if (settings && !settings->enabled) continue;
    any = true;
    auto candidate =
        settings ? candidate_of(vm, *settings) : Result<std::optional<Candidate>>(settings.error());
    if (!candidate) {
      waiting.problems.push_back(base::wrap(std::move(candidate).error(), vm));
    } else if (*candidate && (!first || (*candidate)->before(*first))) {
      first = std::move(*candidate);
    }
  }
  if (!any) {
    return Error(ErrorCode::kConfiguration, "no machine is configured and enabled in '" +
                                                base::printable(invocation.config_directory) +
                                                "/vms.d'")
        .with_hint("each machine has a file NAME.conf there");
  }
  if (first) {
    waiting.vm = std::move(first->vm);
    waiting.id = std::move(first->id);
  }
  return waiting;
}

}  // namespace holdfast::host::command
