// SPDX-License-Identifier: MIT
#include "doctor/doctor.h"

namespace holdfast::host::doctor {

Diagnosis examine(Patient patient) {
  Diagnosis diagnosis{.vm = patient.settings.vm, .findings = {}};
  const auto add = [&](Findings findings) {
    for (Finding& finding : findings)
      diagnosis.findings.push_back(std::move(finding));
  };
  if (!patient.settings.container.empty()) {
    add(check_container(patient));
    add(check_repository(patient));
    add(check_state(patient));
    add(check_schedule(patient));
    add(check_notification(patient));
    return diagnosis;
  }
  add(check_configuration(patient));
  // The disks are known once QEMU has been asked, and programs are compared with its version.
  Findings of_qemu = check_qemu(patient);
  add(check_programs(patient));
  add(std::move(of_qemu));
  add(check_disks(patient));
  add(check_agent(patient));
  add(check_repository(patient));
  add(check_state(patient));
  add(check_schedule(patient));
  add(check_notification(patient));
  return diagnosis;
}

}  // namespace holdfast::host::doctor
