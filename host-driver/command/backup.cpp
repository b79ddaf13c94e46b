// SPDX-License-Identifier: MIT
#include <algorithm>
#include <iostream>

#include "base/text.h"
#include "command/backup_machine.h"
#include "command/commands.h"
#include "command/many_runs.h"
#include "command/notified.h"
#include "command/report_writer.h"
#include "command/watcher.h"

namespace holdfast::host::command {

using base::Error;
using base::ErrorCode;
using base::Result;

namespace {

using Tolds = std::vector<notify::Told>;

// In this process, with everything that one machine's run says on the standard streams.
Result<int> backup_one(const Invocation& invocation, Environment& environment, Tolds& tolds) {
  const std::string& vm = invocation.arguments.front();
  Watcher watcher(vm, invocation.quiet);
  const RunReport report = back_up_machine(invocation, vm, environment, watcher);
  watcher.end();
  tolds.push_back(told_of(report));
  if (report.manifest.is_null()) return *report.error;
  if (invocation.json) {
    std::cout << base::to_document(report.manifest);
  } else if (!invocation.quiet) {
    std::cout << summary_of(report) << std::endl;
  }
  if (report.error) complain(base::wrap(*report.error, vm));
  return report.status;
}

Result<int> backup_and_report(const Invocation& invocation, Environment& environment) {
  auto fd = ReportWriter::take(*invocation.report_fd);
  if (!fd) return std::move(fd).error();
  ReportWriter writer(std::move(*fd));
  const RunReport report =
      back_up_machine(invocation, invocation.arguments.front(), environment, writer);
  writer.end(report);
  return report.status;
}

// The machines that --all means. One whose configuration is wrong is among them: its run says so.
Result<std::vector<std::string>> enabled_machines(const Invocation& invocation) {
  auto names = config::configured_vms(invocation.config_directory);
  if (!names) return names;
  std::erase_if(*names, [&](const std::string& vm) {
    const auto settings = settings_for(invocation, vm, Needs::kNothing);
    return settings && !settings->enabled;
  });
  if (!names->empty()) return names;
  return Error(ErrorCode::kConfiguration, "no machine is configured and enabled in '" +
                                              base::printable(invocation.config_directory) +
                                              "/vms.d'")
      .with_hint("each machine has a file NAME.conf there");
}

std::vector<std::string> without_repetitions(const std::vector<std::string>& names) {
  std::vector<std::string> unique;
  for (const std::string& name : names) {
    if (std::find(unique.begin(), unique.end(), name) == unique.end()) unique.push_back(name);
  }
  return unique;
}

Result<int> backup_many(const Invocation& invocation, const std::vector<std::string>& vms,
                        Environment& environment, Tolds& tolds) {
  const auto shared = settings_for(invocation, "", Needs::kNothing);
  if (!shared) return shared.error();
  ManyRuns runs(invocation, environment, shared->parallel);
  const std::vector<RunReport> reports = runs.run(vms);
  for (const RunReport& report : reports)
    tolds.push_back(told_of(report));
  if (invocation.json) {
    base::Json machines = base::Json::array();
    for (const RunReport& report : reports)
      machines.push_back(json_of(report));
    std::cout << base::to_document({{"machines", std::move(machines)}});
  }
  return worst_status(reports);
}

Result<int> backup_those(const Invocation& invocation, Environment& environment, Tolds& tolds) {
  if (invocation.all) {
    const auto vms = enabled_machines(invocation);
    return vms ? backup_many(invocation, *vms, environment, tolds) : vms.error();
  }
  if (invocation.arguments.size() == 1) return backup_one(invocation, environment, tolds);
  return backup_many(invocation, without_repetitions(invocation.arguments), environment, tolds);
}

}  // namespace

Result<int> backup(const Invocation& invocation, Environment& environment) {
  // The process at the other end tells of all of them.
  if (invocation.report_fd) return backup_and_report(invocation, environment);
  return notified(invocation, environment,
                  [&](Tolds& tolds) { return backup_those(invocation, environment, tolds); });
}

}  // namespace holdfast::host::command
