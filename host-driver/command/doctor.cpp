// SPDX-License-Identifier: MIT
#include "doctor/doctor.h"

#include <algorithm>
#include <iostream>

#include "command/commands.h"

namespace holdfast::host::command {

using base::Result;

namespace {

doctor::Diagnosis examine(const Invocation& invocation, const std::string& vm,
                          Environment& environment) {
  const auto settings = settings_for(invocation, vm, Needs::kNothing);
  // Wrong settings are a finding like any other: the next machine is looked at all the same.
  if (!settings) {
    return {.vm = vm,
            .findings = {doctor::problem("configuration", "wrong", settings.error(),
                                         "holdfast-host.conf(5)")}};
  }
  return doctor::examine({.settings = *settings,
                          .processes = environment.processes,
                          .stop = environment.stop,
                          .root = {},
                          .qemu_version = {},
                          .disks = {}});
}

}  // namespace

Result<int> doctor_command(const Invocation& invocation, Environment& environment) {
  int status = 0;
  base::Json all = base::Json::array();
  for (const std::string& vm : invocation.arguments) {
    const doctor::Diagnosis diagnosis = examine(invocation, vm, environment);
    if (environment.stop.stop_requested()) {
      return base::Error(base::ErrorCode::kCancelled, "interrupted");
    }
    status = std::max(status, diagnosis.exit_status());
    all.push_back(doctor::json_of(diagnosis));
    if (!invocation.json) std::cout << doctor::text_of(diagnosis, invocation.quiet) << std::flush;
  }
  if (invocation.json) std::cout << base::to_document(all);
  return status;
}

}  // namespace holdfast::host::command
