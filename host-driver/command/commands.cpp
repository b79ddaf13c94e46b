// SPDX-License-Identifier: MIT
#include "command/commands.h"

#include <array>
#include <iostream>

#include "base/text.h"
#include "repository/paths.h"
#include "ui/journal.h"

namespace holdfast::host::command {

using base::Error;
using base::ErrorCode;
using base::Result;

namespace {

struct Entry {
  std::string_view verb;
  Result<int> (*run)(const Invocation&, Environment&);
};

constexpr std::array<Entry, 15> kCommands{{{"backup", backup},
                                           {"list", list},
                                           {"show", show},
                                           {"verify", verify},
                                           {"restore", restore},
                                           {"export", export_backup},
                                           {"prune", prune},
                                           {"protect", protect},
                                           {"unprotect", unprotect},
                                           {"snapshot", snapshot},
                                           {"status", status},
                                           {"doctor", doctor_command},
                                           {"freeze", freeze},
                                           {"thaw", thaw},
                                           {"recover", recover}}};

Result<void> require_key(const std::string& value, const std::string& key, const std::string& vm) {
  if (!value.empty()) return {};
  return Error(ErrorCode::kConfiguration, "'" + key + "' is not configured for '" + vm + "'")
      .with_hint("set it in vms.d/" + vm + ".conf, or give --" + key + " PATH");
}

}  // namespace

Result<int> run_command(const Invocation& invocation, Environment& environment) {
  if (invocation.print_config) {
    const std::size_t place = invocation.verb == "snapshot" ? 1 : 0;
    const std::string vm =
        place < invocation.arguments.size() ? invocation.arguments[place] : std::string();
    const auto settings = settings_for(invocation, vm, Needs::kNothing);
    if (!settings) return settings.error();
    std::cout << settings->printed;
    return 0;
  }
  for (const Entry& entry : kCommands) {
    if (entry.verb == invocation.verb) return entry.run(invocation, environment);
  }
  return Error(ErrorCode::kUsage, "unknown command '" + base::printable(invocation.verb, 64) + "'");
}

Result<config::Settings> settings_for(const Invocation& invocation, const std::string& vm,
                                      Needs needs) {
  if (!vm.empty()) {
    if (auto named = repository::check_vm_name(vm); !named) return std::move(named).error();
  }
  auto settings = config::load_settings(invocation.config_directory, vm, invocation.overrides);
  if (!settings) return settings;
  Result<void> there;
  const bool by_sockets = settings->uri.empty() && settings->container.empty();
  if (by_sockets && (needs == Needs::kMonitor || needs == Needs::kBackup)) {
    there = require_key(settings->qmp, "qmp", vm);
  }
  if (there && by_sockets && needs == Needs::kAgent)
    there = require_key(settings->agent, "agent", vm);
  if (there && (needs == Needs::kRepository || needs == Needs::kBackup)) {
    there = require_key(settings->repository, "repository", vm.empty() ? "all" : vm);
  }
  if (!there) return std::move(there).error();
  return settings;
}

namespace {

void say_as(ui::Gravity gravity, const std::string& text) {
  // One write: a guardian, or the run of another machine, may have something to say as well.
  std::cerr << std::string(ui::journal_prefix(gravity)) + "holdfast: " + text + "\n" << std::flush;
}

}  // namespace

void complain(const Error& error) {
  const bool done = error.code() == ErrorCode::kBelowPreferred;
  say_as(done ? ui::Gravity::kWarning : ui::Gravity::kError, error.one_line());
}

void say(const std::string& text) {
  say_as(ui::Gravity::kNotice, text);
}

}  // namespace holdfast::host::command
