// SPDX-License-Identifier: MIT
//
// A machine of libvirt's: is libvirt there, may we, does it know the machine, does it run, and is
// what a backup needs in its definition?
#include <unistd.h>

#include "base/text.h"
#include "doctor/doctor.h"
#include "libvirt/backup_job.h"
#include "libvirt/checkpoints.h"
#include "libvirt/domain.h"
#include "run/channel.h"
#include "snapshot/commit_end.h"

namespace holdfast::host::doctor {

using base::Deadline;
using base::Error;

namespace {

constexpr const char* kArea = "libvirt";

Finding unreachable(const config::Settings& settings, const Error& error) {
  const std::string text = error.text();
  const auto says = [&](const char* words) { return text.find(words) != std::string::npos; };
  if (::access(settings.libvirt_program.c_str(), X_OK) != 0) {
    return problem(kArea, "no-libvirt-program", error,
                   "install all of holdfast-host, or set libvirt-program");
  }
  if (says("Domain not found")) {
    return problem(kArea, "no-domain", error,
                   "virsh -c URI list --all shows the names; set domain to libvirt's own");
  }
  if (says("Permission denied") || says("authentication")) {
    return problem(kArea, "no-right", error, "run this as root, or as a user of the group libvirt");
  }
  return problem(kArea, "unreachable", error,
                 "is it running, and is this its URI? virsh -c URI version asks the same");
}

Finding state_of(const libvirt::Domain& domain) {
  const std::string text = "libvirt " + base::printable(domain.libvirt, 40) + ", machine '" +
                           base::printable(domain.name, 100) + "', " +
                           base::printable(domain.state, 40);
  if (domain.state == "running" || domain.state == "blocked") {
    return {Level::kOk, kArea, "running", text};
  }
  if (domain.state == "paused") {
    return {Level::kWarning, kArea, "not-running",
            text + ": no agent answers while the machine stands still",
            "a backup of it reaches level crash at most"};
  }
  return {Level::kProblem, kArea, "shut-off", text + ": there is nothing to take an instant of",
          "start it; while it is off, its images can be copied as files"};
}

void look_at_agent(const libvirt::Domain& domain, Findings& findings) {
  if (domain.agent == "missing") {
    findings.push_back({Level::kProblem, kArea, "no-channel",
                        "the machine's definition has no channel for the guest agent",
                        "virsh edit: <channel type='unix'><target type='virtio' "
                        "name='org.qemu.guest_agent.0'/></channel>, then start it anew"});
  } else if (domain.agent == "disconnected") {
    findings.push_back({Level::kProblem, kArea, "agent-not-connected",
                        "the guest has not opened the guest agent's channel",
                        "in the guest: install qemu-guest-agent, systemctl status it"});
  }
}

void look_at_rest(const libvirt::Domain& domain, Findings& findings) {
  if (!domain.persistent) {
    findings.push_back(
        {Level::kWarning, kArea, "transient",
         "the machine is transient: libvirt forgets it, and its checkpoints, when it "
         "ends",
         "virsh define makes it persistent"});
  }
}

void look_at_increments(const config::Settings& settings, const qmp::BlockGraph& graph,
                        Findings& findings) {
  if (!settings.incremental) return;
  if (settings.method != "backup") {
    findings.push_back({Level::kWarning, kArea, "no-increments",
                        "every backup will be a full one: through libvirt, increments are made "
                        "with method = backup alone",
                        "set method = backup, or incremental = no"});
    return;
  }
  for (const qmp::Disk& disk : graph.disks) {
    const std::string why = libvirt::no_bitmap_because(disk);
    if (why.empty()) continue;
    findings.push_back({Level::kWarning, kArea, "no-increments",
                        "disk '" + disk.name + "' is copied in full each time: " + why,
                        "convert it to qcow2: qemu-img convert -O qcow2"});
  }
}

void look_at_jobs(qmp::Client& bridge, const Patient& patient, Findings& findings) {
  const auto job = libvirt::read_backup_job(bridge, Deadline::in(patient.settings.qmp_timeout));
  if (!job || job->state == "none") return;
  findings.push_back({Level::kWarning, kArea, "job",
                      "libvirt is at work on the machine: a backup would be refused",
                      "virsh domjobinfo shows it; of an interrupted run: holdfast recover " +
                          patient.settings.vm});
}

}  // namespace

Findings check_libvirt(Patient& patient) {
  const config::Settings& settings = patient.settings;
  const auto deadline = [&] { return Deadline::in(settings.qmp_timeout); };
  auto bridge = qmp::Client::connect(run::monitor_endpoint(settings), deadline(), patient.stop);
  if (!bridge) return {unreachable(settings, bridge.error())};
  const auto domain = libvirt::read_domain(*bridge, deadline());
  if (!domain) return {unreachable(settings, domain.error())};
  patient.qemu_version = base::printable(bridge->version(), 40);
  Findings findings{state_of(*domain)};
  look_at_rest(*domain, findings);
  if (findings.front().level == Level::kProblem) return findings;
  look_at_agent(*domain, findings);
  look_at_jobs(*bridge, patient, findings);
  auto graph = libvirt::block_graph_of(domain->disks);
  if (!graph) {
    findings.push_back(problem("disks", "unusable-disk", graph.error(),
                               "detach it, or make it a file in the format raw or qcow2"));
    return findings;
  }
  const std::string remote = libvirt::remote_host(settings.uri);
  if (!remote.empty() && settings.method == "backup") {
    findings.push_back({Level::kProblem, kArea, "remote",
                        "the method 'backup' cannot be used with " + base::printable(remote) +
                            ": QEMU would write the copies there",
                        "run holdfast there, or set method = overlay"});
  }
  if (settings.method == "overlay") {
    const auto survives = snapshot::check_commit_end(bridge->version(), graph->disks);
    if (!survives) findings.push_back(problem("disks", "commit", survives.error(), ""));
  }
  look_at_increments(settings, *graph, findings);
  look_at_definition(patient, *bridge, findings);
  patient.disks = std::move(*graph);
  return findings;
}

}  // namespace holdfast::host::doctor
