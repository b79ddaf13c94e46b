// SPDX-License-Identifier: MIT
#include <cstdio>
#include <iostream>

#include "base/text.h"
#include "command/commands.h"
#include "run/backup_run.h"
#include "ui/progress_bar.h"

namespace holdfast::host::command {

using base::ErrorCode;
using base::Json;
using base::Result;

namespace {

class Watcher final : public run::Observer {
 public:
  Watcher(std::string vm, bool quiet)
      : vm_(std::move(vm)), quiet_(quiet), bar_(!quiet && ui::terminal_attached()) {}

  void step(const std::string& name) override { bar_.step(vm_ + ": " + name); }
  void progress(const std::string& label, double percent) override {
    bar_.update(vm_ + ": " + label, percent);
  }
  void note(const std::string& text) override {
    if (quiet_) return;
    bar_.clear();
    say(vm_ + ": " + text);
  }
  void end() { bar_.clear(); }

 private:
  std::string vm_;
  bool quiet_;
  ui::ProgressBar bar_;
};

std::string seconds(double milliseconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f s", milliseconds / 1000);
  return text;
}

// The one line that cron mails.
std::string summary(const run::BackupOutcome& outcome) {
  const Json& manifest = outcome.manifest;
  const Json& window = manifest.at("window");
  char total[32];
  std::snprintf(total, sizeof total, "%.0f ms", window.at("total_ms").get<double>());
  const std::size_t disks = manifest.at("disks").size();
  return manifest.at("vm").get<std::string>() + ": " + manifest.at("id").get<std::string>() + ": " +
         std::string(name_of(outcome.level)) + ", window " + total + ", " + std::to_string(disks) +
         (disks == 1 ? " disk, " : " disks, ") +
         base::format_bytes(manifest.at("copy").at("bytes").get<std::uint64_t>()) + " in " +
         seconds(manifest.at("copy").at("duration_ms").get<double>());
}

Result<int> backup_one(const Invocation& invocation, const std::string& vm,
                       Environment& environment) {
  auto settings = settings_for(invocation, vm, Needs::kBackup);
  if (!settings) return std::move(settings).error();
  const auto preferred = repository::level_named(settings->prefer).value();
  Watcher watcher(vm, invocation.quiet);
  run::BackupRun backup_run({*settings, invocation.keep_failed}, environment.processes, watcher,
                            environment.stop, environment.abandon);
  auto outcome = backup_run.run();
  watcher.end();
  if (!outcome) return std::move(outcome).error();
  if (invocation.json) {
    Json printed = outcome->manifest;
    printed["directory"] = outcome->directory;
    std::cout << base::to_document(printed);
  } else if (!invocation.quiet) {
    std::cout << summary(*outcome) << std::endl;
  }
  if (outcome->level >= preferred) return 0;
  std::string reasons;
  for (const Json& reason : outcome->manifest.at("evidence").at("reasons"))
    reasons += (reasons.empty() ? "" : "; ") + reason.get<std::string>();
  complain({ErrorCode::kBelowPreferred, vm + ": level '" + std::string(name_of(outcome->level)) +
                                            "', '" + settings->prefer +
                                            "' is preferred: " + reasons});
  return base::host_exit_status(ErrorCode::kBelowPreferred);
}

// Which of two exit statuses says more: failed before locked before below the preferred level.
int worse(int a, int b) {
  const auto rank = [](int status) { return status == 1 || status == 2 ? 10 : status; };
  return rank(a) >= rank(b) ? a : b;
}

}  // namespace

Result<int> backup(const Invocation& invocation, Environment& environment) {
  if (invocation.arguments.size() == 1) {
    return backup_one(invocation, invocation.arguments.front(), environment);
  }
  int status = 0;
  for (const std::string& vm : invocation.arguments) {
    const auto done = backup_one(invocation, vm, environment);
    if (!done) {
      complain(base::wrap(done.error(), base::printable(vm, 64)));
    }
    status = worse(status, done ? *done : base::host_exit_status(done.error().code()));
    if (environment.stop.stop_requested()) break;
  }
  return status;
}

}  // namespace holdfast::host::command
