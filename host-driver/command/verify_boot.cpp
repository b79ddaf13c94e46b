// SPDX-License-Identifier: MIT
#include "command/verify_boot.h"

#include <algorithm>
#include <iostream>
#include <optional>

#include "base/duration.h"
#include "base/text.h"
#include "boot/trial.h"
#include "command/backup_check.h"
#include "command/proof_metrics.h"
#include "command/proof_text.h"
#include "command/waiting_backup.h"
#include "repository/proof.h"
#include "repository/use.h"

namespace holdfast::host::command {

using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;
using repository::Backup;
using repository::Proof;
using repository::ProofResult;
using repository::Repository;

namespace {

using Layers = std::vector<std::vector<image::Layer>>;

Result<Layers> look_at_disks(const Repository& repository, const Backup& backup) {
  Layers layers;
  for (const repository::DiskEntry& disk : backup.manifest.disks) {
    auto looked = look_at_disk(repository, backup, disk);
    if (!looked) return std::move(looked).error();
    layers.push_back(std::move(*looked));
  }
  return layers;
}

// An image that cannot be used speaks against the backup; that this host cannot try it does not.
Result<boot::Trial> make_trial(const Repository& repository, const Backup& backup,
                               const config::Settings& settings, Environment& environment) {
  const auto layers = look_at_disks(repository, backup);
  if (layers) {
    return boot::try_backup(backup, *layers, settings, environment.processes, environment.stop);
  }
  const ErrorCode code = layers.error().code();
  if (code != ErrorCode::kCorrupt && code != ErrorCode::kRefused) return layers.error();
  const std::string reason = layers.error().text();
  return boot::Trial{{ProofResult::kFailed, {reason}, {}, nullptr}, {{"reasons", {reason}}}};
}

int status_of(ProofResult result, const config::Settings& settings) {
  if (result == ProofResult::kProven) return 0;
  if (result != ProofResult::kBooted) return 1;
  // As of a backup: who does not prefer a level that only a guest's Holdfast gives has what he
  // wants.
  return settings.prefer == name_of(repository::Level::kApplication)
             ? base::host_exit_status(ErrorCode::kBelowPreferred)
             : 0;
}

class Run {
 public:
  Run(const Invocation& invocation, Environment& environment, std::vector<notify::Told>& tolds)
      : invocation_(invocation), environment_(environment), tolds_(tolds) {}

  // What keeps one backup from being tried is told of it, and is no reason to leave out the others.
  Result<int> run(const std::string& vm, const std::vector<std::string>& ids);
  void print() const {
    if (invocation_.json) std::cout << base::to_document(results_);
  }

 private:
  Result<int> try_one(const std::string& vm, const std::string& id, notify::Told& told);
  void tell(const Backup& backup, const Proof& proof, notify::Told& told);

  const Invocation& invocation_;
  Environment& environment_;
  std::vector<notify::Told>& tolds_;
  Json results_ = Json::array();
};

void Run::tell(const Backup& backup, const Proof& proof, notify::Told& told) {
  const std::string line = proof_line(proof);
  if (!invocation_.json && !invocation_.quiet) {
    std::cout << backup.manifest.vm << ": " << backup.manifest.id << ": " << line << std::endl;
  }
  told.facts.push_back("backup " + backup.manifest.id + ": " + line);
  Json result{{"vm", backup.manifest.vm},
              {"id", backup.manifest.id},
              {"result", std::string(name_of(proof.result))},
              {"at", proof.at}};
  result.update(proof.document);
  told.detail = result;
  results_.push_back(std::move(result));
}

Result<int> Run::try_one(const std::string& vm, const std::string& id, notify::Told& told) {
  const auto settings = settings_for(invocation_, vm, Needs::kRepository);
  if (!settings) return settings.error();
  const auto repository = Repository::open(settings->repository);
  if (!repository) return repository.error();
  const auto backup = repository->find(vm, id);
  if (!backup) return backup.error();
  if (backup->manifest.archive) {
    return Error(ErrorCode::kUnsupported,
                 "'" + vm + "/" + backup->manifest.id + "' is a container's, and no machine")
        .with_hint("without --boot its archive is verified");
  }
  const auto use = repository::Use::of(*repository, *backup, backup->manifest.disks);
  if (!use && use.error().code() != ErrorCode::kCorrupt) return use.error();
  const auto lock = repository::lock_proof(backup->directory);
  if (!lock) return lock.error();
  const auto begin = std::chrono::system_clock::now();
  auto trial = make_trial(*repository, *backup, *settings, environment_);
  if (!trial && trial.error().code() == ErrorCode::kCancelled) return trial.error();
  const auto end = std::chrono::system_clock::now();
  Proof proof{ProofResult::kUndecided, base::format_time(end), {}};
  if (trial) {
    proof.result = trial->judgement.result;
    proof.document = std::move(trial->facts);
  } else {
    proof.document = {{"reasons", {trial.error().text()}}};
  }
  auto written = repository::write_proof(backup->directory, proof);
  if (!settings->metrics_directory.empty()) {
    const auto metrics = write_proof_metrics(settings->metrics_directory, vm, proof, {begin, end});
    if (!metrics && written) written = metrics;
  }
  if (!trial)
    return base::wrap(trial.error(), "unable to try '" + vm + "/" + backup->manifest.id + "'");
  tell(*backup, proof, told);
  for (const std::string& reason : trial->judgement.reasons) {
    const bool failed = proof.result == ProofResult::kFailed;
    told.problems.emplace_back(failed ? ErrorCode::kCorrupt : ErrorCode::kBelowPreferred,
                               vm + "/" + backup->manifest.id + ": " + reason);
    if (status_of(proof.result, *settings) != 0) complain(told.problems.back());
  }
  if (!written) return base::wrap(std::move(written).error(), "unable to note what came of it");
  return status_of(proof.result, *settings);
}

Result<int> Run::run(const std::string& vm, const std::vector<std::string>& ids) {
  tolds_.push_back({.vm = vm});
  notify::Told& told = tolds_.back();
  for (const std::string& id : ids) {
    auto status = try_one(vm, id, told);
    if (!status) {
      told.status = base::host_exit_status(status.error().code());
      told.problems.push_back(status.error());
      return status;
    }
    // A failure is worse than a warning, which has the larger number.
    told.status = told.status == 1 || *status == 1 ? 1 : std::max(told.status, *status);
  }
  return told.status;
}

}  // namespace

Result<int> verify_boot(const Invocation& invocation, Environment& environment,
                        std::vector<notify::Told>& tolds) {
  Run run(invocation, environment, tolds);
  if (!invocation.schedule) {
    std::vector<std::string> ids(invocation.arguments.begin() + 1, invocation.arguments.end());
    if (ids.empty()) ids.emplace_back("latest");
    auto status = run.run(invocation.arguments.front(), ids);
    // Also what was done before one of them could not be tried.
    run.print();
    return status;
  }
  auto waiting = find_waiting_backup(invocation);
  if (!waiting) return std::move(waiting).error();
  for (const Error& problem : waiting->problems)
    complain(problem);
  const int before = waiting->problems.empty() ? 0 : 1;
  if (waiting->vm.empty()) {
    if (!invocation.json && !invocation.quiet) std::cout << "no latest backup waits" << std::endl;
    run.print();
    return before;
  }
  auto status = run.run(waiting->vm, {waiting->id});
  run.print();
  if (!status) return status;
  return before != 0 ? before : *status;
}

}  // namespace holdfast::host::command
