// SPDX-License-Identifier: MIT
//
// "Will the first night's backup work?" Looks at everything that a run of this machine will need,
// freezes nothing and changes nothing, and always says something: that all is well, what is not, or
// that it could not be found out. A family of hazards is one small file.
//
//   configuration   the settings, and how they fit each other
//   container       in place of the machine: its manager, its root, what is in it
//   programs        qemu-img and its age
//   libvirt         in the monitor's place: the connection, the domain and its state
//   qemu, disks     the monitor; the disks, their files, room for overlays, leftovers
//   definition      what is kept beside the disks
//   agent, guest    the agent, what it allows, is it frozen; is Holdfast there
//   repository      is it ours, is there room, is it a place to keep backups
//   state, schedule what earlier runs left; does anything start the next one
//   notification    who is told what became of it
//
// Threads: one at a time; takes as long as the time-outs of the settings at most.
#pragma once

#include <optional>
#include <stop_token>
#include <string>

#include "base/process_runner.h"
#include "config/settings.h"
#include "doctor/finding.h"
#include "qmp/block_graph.h"
#include "qmp/client.h"

namespace holdfast::host::doctor {

// What is looked at, and what earlier checks have found out for later ones.
struct Patient {
  const config::Settings& settings;
  base::ProcessRunner& processes;
  std::stop_token stop;
  // Before /etc and the like, for tests.
  std::string root;
  std::string qemu_version;
  std::optional<qmp::BlockGraph> disks = {};
};

[[nodiscard]] Diagnosis examine(Patient patient);

// Each in its own file.
void look_at_definition(const Patient& patient, qmp::Client& monitor, Findings& findings);
void look_at_method(const Patient& patient, qmp::Client& monitor, Findings& findings);
// Of restore points beside the images, which only who asks for them has.
void look_at_snapshot_method(const Patient& patient, qmp::Client& monitor, Findings& findings);
[[nodiscard]] Findings check_configuration(const Patient& patient);
[[nodiscard]] Findings check_container(const Patient& patient);
[[nodiscard]] Findings check_programs(const Patient& patient);
[[nodiscard]] Findings check_qemu(Patient& patient);
[[nodiscard]] Findings check_libvirt(Patient& patient);
[[nodiscard]] Findings check_disks(const Patient& patient);
[[nodiscard]] Findings check_agent(const Patient& patient);
[[nodiscard]] Findings check_repository(const Patient& patient);
[[nodiscard]] Findings check_state(const Patient& patient);
[[nodiscard]] Findings check_schedule(const Patient& patient);
[[nodiscard]] Findings check_notification(const Patient& patient);

// "-drive" without "format=": QEMU probes what a guest can write. The words of QEMU's command line.
[[nodiscard]] std::vector<std::string> probed_drives(const std::vector<std::string>& words);

}  // namespace holdfast::host::doctor
