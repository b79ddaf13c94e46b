// SPDX-License-Identifier: MIT
#include "command/notified.h"

#include "base/text.h"
#include "notify/notifier.h"

namespace holdfast::host::command {

using base::Json;
using base::Result;

namespace {

std::string seconds_of(double millis) {
  const auto tenths = static_cast<std::int64_t>(millis / 100);
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " s";
}

std::vector<std::string> facts_of(const RunReport& report) {
  const Json& manifest = report.manifest;
  const std::size_t disks = manifest.at("disks").size();
  const std::string kind = manifest.value("kind", "full");
  const Json& copy = manifest.at("copy");
  const auto window = static_cast<std::int64_t>(manifest.at("window").at("total_ms").get<double>());
  std::vector<std::string> facts{
      "level " + manifest.at("level").get<std::string>() + ", guest paused for " +
          std::to_string(window) + " ms",
      (kind == "archive" ? std::string("archive of the container, ")
                         : std::string(kind == "increment" ? "increment" : "full copy") + " of " +
                               std::to_string(disks) + (disks == 1 ? " disk, " : " disks, ")) +
          base::format_bytes(copy.at("bytes").get<std::uint64_t>()) + " in " +
          seconds_of(copy.at("duration_ms").get<double>()),
      "backup " + manifest.at("id").get<std::string>()};
  const std::size_t removed = manifest.contains("removed") ? manifest["removed"].size() : 0;
  if (removed > 0) facts.back() += ", " + std::to_string(removed) + " older removed";
  if (!report.group.empty()) {
    facts.push_back("of the group '" + report.group + "', taken as one");
  }
  return facts;
}

}  // namespace

notify::Told told_of(const RunReport& report) {
  notify::Told told{.vm = report.vm,
                    .status = report.status,
                    .detail = report.manifest,
                    .group = report.group,
                    .by_another = report.by_another};
  if (report.error) told.problems.push_back(*report.error);
  if (!report.manifest.is_null()) told.facts = facts_of(report);
  return told;
}

Result<int> notified(const Invocation& invocation, Environment& environment, const Tellers& run) {
  const auto settings = settings_for(invocation, "", Needs::kNothing);
  notify::Notice notice{.command = invocation.boot ? "verify --boot" : invocation.verb,
                        .host = notify::host_name(),
                        .begin = std::chrono::system_clock::now(),
                        .end = {},
                        .machines = {}};
  Result<int> status = run(notice.machines);
  if (!settings || !settings->notify.wanted()) return status;
  notice.end = std::chrono::system_clock::now();
  notice.status = status ? *status : base::host_exit_status(status.error().code());
  if (!status && notice.machines.empty()) {
    const std::string vm = invocation.arguments.empty() ? "" : invocation.arguments.front();
    notice.machines.push_back({.vm = vm, .status = notice.status, .problems = {status.error()}});
  }
  // Nothing was asked for, and nothing done.
  if (notice.machines.empty()) return status;
  // Only a second signal ends this: that a run was interrupted is worth telling.
  notify::Notifier notifier(settings->notify, notify::Memory(settings->state_directory),
                            environment.processes, environment.abandon);
  for (const base::Error& problem : notifier.tell(std::move(notice)))
    complain(problem);
  return status;
}

}  // namespace holdfast::host::command
