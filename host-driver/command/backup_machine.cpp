// SPDX-License-Identifier: MIT
#include "command/backup_machine.h"

#include "run/backup_run.h"

namespace holdfast::host::command {

using base::Error;
using base::ErrorCode;
using base::Json;

namespace {

RunReport failed(const std::string& vm, Error error) {
  const int status = base::host_exit_status(error.code());
  return {.vm = vm, .status = status, .error = std::move(error), .manifest = {}};
}

Error below_preferred(const run::BackupOutcome& outcome, const std::string& preferred) {
  std::string reasons;
  for (const Json& reason : outcome.manifest.at("evidence").at("reasons"))
    reasons += (reasons.empty() ? "" : "; ") + reason.get<std::string>();
  return {ErrorCode::kBelowPreferred, "level '" + std::string(name_of(outcome.level)) + "', '" +
                                          preferred + "' is preferred: " + reasons};
}

}  // namespace

RunReport back_up_machine(const Invocation& invocation, const std::string& vm,
                          Environment& environment, run::Observer& observer) {
  auto settings = settings_for(invocation, vm, Needs::kBackup);
  if (!settings) return failed(vm, std::move(settings).error());
  run::BackupRun backup_run({*settings, invocation.keep_failed}, environment.processes, observer,
                            environment.stop, environment.abandon);
  auto outcome = backup_run.run();
  if (!outcome) return failed(vm, std::move(outcome).error());
  RunReport report{.vm = vm, .status = 0, .error = {}, .manifest = outcome->manifest};
  report.manifest["directory"] = outcome->directory;
  if (outcome->level < repository::level_named(settings->prefer).value()) {
    report.error = below_preferred(*outcome, settings->prefer);
    report.status = base::host_exit_status(report.error->code());
  }
  return report;
}

}  // namespace holdfast::host::command
