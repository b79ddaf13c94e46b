// SPDX-License-Identifier: MIT
#include "command/backup_machine.h"

#include "command/metrics.h"
#include "command/retention.h"
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

// The backup is there, whatever becomes of the older ones: what went wrong is told beside it.
void retain(RunReport& report, const config::Settings& settings, Environment& environment) {
  Retained retained = apply_retention(settings, environment.stop);
  report.manifest["removed"] = std::move(retained.removed);
  if (retained.problems.empty()) return;
  Error error = base::wrap(std::move(retained.problems.front()),
                           "the backup is published, but the keep- rules could not be applied");
  for (std::size_t i = 1; i < retained.problems.size(); ++i)
    error = std::move(error).also(std::move(retained.problems[i]));
  if (report.error) error = std::move(error).also(std::move(*report.error));
  report.status = base::host_exit_status(error.code());
  report.error = std::move(error);
}

RunReport back_up(const Invocation& invocation, const config::Settings& settings,
                  Environment& environment, run::Observer& observer) {
  const std::string& vm = settings.vm;
  run::BackupRun backup_run({settings, invocation.keep_failed, invocation.full},
                            environment.processes, observer, environment.stop, environment.abandon);
  auto outcome = backup_run.run();
  if (!outcome) return failed(vm, std::move(outcome).error());
  RunReport report{.vm = vm, .status = 0, .error = {}, .manifest = outcome->manifest};
  report.manifest["directory"] = outcome->directory;
  if (outcome->level < repository::level_named(settings.prefer).value()) {
    report.error = below_preferred(*outcome, settings.prefer);
    report.status = base::host_exit_status(report.error->code());
  }
  // The run still holds its locks.
  retain(report, settings, environment);
  return report;
}

}  // namespace

RunReport back_up_machine(const Invocation& invocation, const std::string& vm,
                          Environment& environment, run::Observer& observer) {
  const auto settings = settings_for(invocation, vm, Needs::kBackup);
  if (!settings) return failed(vm, settings.error());
  RunTime time;
  time.begin = std::chrono::system_clock::now();
  RunReport report = back_up(invocation, *settings, environment, observer);
  time.end = std::chrono::system_clock::now();
  // The run that holds the lock tells of itself.
  const bool locked = report.error && report.error->code() == ErrorCode::kLocked;
  if (settings->metrics_directory.empty() || locked) return report;
  const auto written = write_metrics(settings->metrics_directory, report, time);
  if (!written) observer.note(written.error().one_line() + ", continuing without metrics");
  return report;
}

}  // namespace holdfast::host::command
