// SPDX-License-Identifier: MIT
#include "command/backup_machine.h"

#include "command/metrics.h"
#include "command/retention.h"
#include "command/run_commands.h"
#include "run/backup_run.h"
#include "run/container_run.h"

namespace holdfast::host::command {

using base::Error;
using base::ErrorCode;

namespace {

bool is_locked(const RunReport& report) {
  return report.error && report.error->code() == ErrorCode::kLocked;
}

// Told beside what the run came to, which stays as it is.
void finish(RunReport& report, const config::Settings& settings, const std::string& id,
            Environment& environment) {
  // Only a second signal ends this: clearing up is what it is for.
  auto done = run_post_command(settings, id, report, environment.processes, environment.abandon);
  if (done) return;
  Error error = std::move(done).error();
  if (report.manifest.is_null()) {
    report.error = std::move(*report.error).also(std::move(error));
    return;
  }
  error = base::wrap(std::move(error), "the backup is published");
  if (report.error) error = std::move(error).also(std::move(*report.error));
  report.status = base::host_exit_status(error.code());
  report.error = std::move(error);
}

}  // namespace

RunReport report_failure(const std::string& vm, Error error) {
  const int status = base::host_exit_status(error.code());
  return {.vm = vm, .status = status, .error = std::move(error), .manifest = {}};
}

RunReport report_of(const run::BackupOutcome& outcome, const config::Settings& settings) {
  RunReport report{.vm = settings.vm, .status = 0, .error = {}, .manifest = outcome.manifest};
  report.manifest["directory"] = outcome.directory;
  if (outcome.level < repository::level_named(settings.prefer).value()) {
    report.error = below_preferred(outcome.level, outcome.manifest.at("evidence"), settings.prefer);
    report.status = base::host_exit_status(report.error->code());
  }
  return report;
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

void conclude(RunReport& report, const config::Settings& settings, const std::string& id,
              bool guest_may_be_frozen, Environment& environment, run::Observer& observer) {
  // The run that holds the lock has its own commands.
  if (is_locked(report) || settings.post_command.empty()) return;
  if (guest_may_be_frozen) {
    observer.note("the guest may still be frozen: not running post-command");
    return;
  }
  observer.step("post-command");
  finish(report, settings, id, environment);
}

void measure(const RunReport& report, const config::Settings& settings, base::WallTime begin,
             run::Observer& observer) {
  // The run that holds the lock tells of itself.
  if (settings.metrics_directory.empty() || is_locked(report)) return;
  const auto written = write_metrics(settings.metrics_directory, report,
                                     {.begin = begin, .end = std::chrono::system_clock::now()});
  if (!written) observer.note(written.error().one_line() + ", continuing without metrics");
}

RunReport back_up_machine(const Invocation& invocation, const std::string& vm,
                          Environment& environment, run::Observer& observer) {
  const auto settings = settings_for(invocation, vm, Needs::kBackup);
  if (!settings) return report_failure(vm, settings.error());
  const auto begin = std::chrono::system_clock::now();
  std::string begun;
  const auto before_it_begins = [&](const std::string& id) {
    begun = id;
    if (!settings->pre_command.empty()) observer.step("pre-command");
    return run_pre_command(*settings, id, environment.processes, environment.stop);
  };
  const auto conclude_run = [&](const base::Result<run::BackupOutcome>& outcome,
                                bool may_be_frozen) {
    RunReport report =
        outcome ? report_of(*outcome, *settings) : report_failure(vm, outcome.error());
    // The run still holds its locks.
    if (outcome) retain(report, *settings, environment);
    conclude(report, *settings, begun, may_be_frozen, environment, observer);
    measure(report, *settings, begin, observer);
    return report;
  };
  run::BackupRequest request{.settings = *settings,
                             .keep_failed = invocation.keep_failed,
                             .full = invocation.full,
                             .new_repository = invocation.new_repository,
                             .before_it_begins = before_it_begins};
  if (!settings->container.empty()) {
    run::ContainerRun container_run(std::move(request), environment.processes, observer,
                                    environment.stop);
    const auto outcome = container_run.run();
    return conclude_run(outcome, container_run.guest_may_be_frozen());
  }
  run::BackupRun backup_run(std::move(request), environment.processes, observer, environment.stop,
                            environment.abandon);
  const auto outcome = backup_run.run();
  return conclude_run(outcome, backup_run.guest_may_be_frozen());
}

}  // namespace holdfast::host::command
