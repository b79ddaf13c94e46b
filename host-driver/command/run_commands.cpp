// SPDX-License-Identifier: MIT
#include "command/run_commands.h"

#include "notify/variables.h"

namespace holdfast::host::command {

using base::Deadline;
using base::Result;

namespace {

Result<void> run_one(const std::string& key, const std::vector<std::string>& words,
                     const config::Settings& settings, const notify::Variables& variables,
                     base::ProcessRunner& processes, const std::stop_token& stop) {
  const auto outcome = processes.run({.argv = words,
                                      .environment = notify::environment_with(variables),
                                      .deadline = Deadline::in(settings.command_timeout),
                                      .stop = stop});
  if (outcome.succeeded()) return {};
  return base::wrap(outcome.as_error(words.front()), key);
}

}  // namespace

std::string result_name(const RunReport& report) {
  if (report.manifest.is_null()) return "failed";
  if (report.status == 0) return "success";
  return report.status == base::host_exit_status(base::ErrorCode::kBelowPreferred)
             ? "below-preferred"
             : "incomplete";
}

Result<void> run_pre_command(const config::Settings& settings, const std::string& id,
                             base::ProcessRunner& processes, const std::stop_token& stop) {
  if (settings.pre_command.empty()) return {};
  return run_one("pre-command", settings.pre_command, settings,
                 {{"VM", settings.vm}, {"ID", id}, {"REPOSITORY", settings.repository}}, processes,
                 stop);
}

Result<void> run_post_command(const config::Settings& settings, const std::string& id,
                              const RunReport& report, base::ProcessRunner& processes,
                              const std::stop_token& stop) {
  if (settings.post_command.empty()) return {};
  const base::Json& manifest = report.manifest;
  const auto text = [&](const char* key) {
    return manifest.is_null() ? std::string() : base::string_member(manifest, key).value_or("");
  };
  return run_one("post-command", settings.post_command, settings,
                 {{"VM", settings.vm},
                  {"ID", id},
                  {"REPOSITORY", settings.repository},
                  {"RESULT", result_name(report)},
                  {"STATUS", std::to_string(report.status)},
                  {"LEVEL", text("level")},
                  {"DIRECTORY", text("directory")},
                  {"ERROR", report.error ? report.error->one_line() : std::string()}},
                 processes, stop);
}

}  // namespace holdfast::host::command
