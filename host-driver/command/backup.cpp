// SPDX-License-Identifier: MIT
#include <algorithm>
#include <iostream>
#include <map>

#include "base/text.h"
#include "command/backup_group.h"
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

// What --all means: machines that stand for themselves, and groups. A machine whose configuration
// is wrong is among the former: its run says so.
struct Enabled {
  std::vector<std::string> alone;
  std::map<std::string, std::vector<std::string>> groups;
};

Result<Enabled> enabled_machines(const Invocation& invocation) {
  const auto names = config::configured_vms(invocation.config_directory);
  if (!names) return names.error();
  Enabled enabled;
  for (const std::string& vm : *names) {
    const auto settings = settings_for(invocation, vm, Needs::kNothing);
    if (settings && !settings->enabled) continue;
    if (settings && !settings->group.empty()) {
      enabled.groups[settings->group].push_back(vm);
    } else {
      enabled.alone.push_back(vm);
    }
  }
  if (!enabled.alone.empty() || !enabled.groups.empty()) return enabled;
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

// What several runs came to; shown line by line as they end.
struct Ran {
  std::vector<RunReport> reports;
  base::Json groups = base::Json::array();  // the records of those that are complete
};

void show_group(const Invocation& invocation, const GroupReport& group, Ran& ran) {
  for (const RunReport& report : group.machines) {
    const bool shown = !report.manifest.is_null() && !invocation.json && !invocation.quiet;
    if (shown) std::cout << summary_of(report) << std::endl;
    if (report.error) complain(base::wrap(*report.error, report.vm));
    ran.reports.push_back(report);
  }
  if (!group.record.is_null()) ran.groups.push_back(group.record);
}

Result<void> run_many(const Invocation& invocation, const std::vector<std::string>& vms,
                      Environment& environment, Ran& ran) {
  const auto shared = settings_for(invocation, "", Needs::kNothing);
  if (!shared) return shared.error();
  ManyRuns runs(invocation, environment, shared->parallel);
  for (RunReport& report : runs.run(vms))
    ran.reports.push_back(std::move(report));
  return {};
}

// Those that stand for themselves, then the groups, one after the other. A group that does not fit
// together is an error of its machines, and keeps nobody else from anything.
Result<void> run_all(const Invocation& invocation, Environment& environment, Ran& ran) {
  const auto enabled = enabled_machines(invocation);
  if (!enabled) return enabled.error();
  if (auto done = run_many(invocation, enabled->alone, environment, ran); !done) return done;
  for (const auto& [name, vms] : enabled->groups) {
    Invocation one = invocation;
    one.group = name;
    auto group =
        environment.stop.stop_requested()
            ? Result<GroupReport>(Error(ErrorCode::kCancelled, "interrupted before it began"))
            : back_up_group(one, environment);
    if (!group) {
      GroupReport failed;
      for (const std::string& vm : vms) {
        failed.machines.push_back(report_failure(vm, group.error()));
        failed.machines.back().group = name;
      }
      group = std::move(failed);
    }
    show_group(invocation, *group, ran);
  }
  return {};
}

Result<int> tell(const Invocation& invocation, const Ran& ran, Tolds& tolds) {
  base::Json machines = base::Json::array();
  for (const RunReport& report : ran.reports) {
    tolds.push_back(told_of(report));
    machines.push_back(json_of(report));
  }
  if (invocation.json) {
    base::Json all{{"machines", std::move(machines)}};
    if (!invocation.group.empty()) {
      all["group"] = ran.groups.empty() ? base::Json() : ran.groups.front();
    } else if (invocation.all) {
      all["groups"] = ran.groups;
    }
    std::cout << base::to_document(all);
  }
  return worst_status(ran.reports);
}

Result<int> backup_those(const Invocation& invocation, Environment& environment, Tolds& tolds) {
  Ran ran;
  if (!invocation.group.empty()) {
    const auto group = back_up_group(invocation, environment);
    if (!group) return group.error();
    show_group(invocation, *group, ran);
    return tell(invocation, ran, tolds);
  }
  if (!invocation.all && invocation.arguments.size() == 1) {
    return backup_one(invocation, environment, tolds);
  }
  const auto done = invocation.all ? run_all(invocation, environment, ran)
                                   : run_many(invocation, without_repetitions(invocation.arguments),
                                              environment, ran);
  return done ? tell(invocation, ran, tolds) : done.error();
}

}  // namespace

Result<int> backup(const Invocation& invocation, Environment& environment) {
  // The process at the other end tells of all of them.
  if (invocation.report_fd) return backup_and_report(invocation, environment);
  return notified(invocation, environment,
                  [&](Tolds& tolds) { return backup_those(invocation, environment, tolds); });
}

}  // namespace holdfast::host::command
