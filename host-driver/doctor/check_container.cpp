// SPDX-License-Identifier: MIT
//
// A container in place of a machine: its manager, its control group, the storage of its root, what
// an archive of it would lack, and whether Holdfast is in it.
#include "base/text.h"
#include "container/agent_inside.h"
#include "container/archive.h"
#include "container/freezer.h"
#include "container/other_mounts.h"
#include "container/root_snapshot.h"
#include "doctor/doctor.h"

namespace holdfast::host::doctor {

using base::Deadline;

namespace {

constexpr const char* kArea = "container";

void look_at_root(const Patient& patient, const container::Found& found, Findings& findings) {
  const auto time = [&] { return Deadline::in(patient.settings.agent_timeout); };
  const auto root = container::RootSnapshot::of(
      found.root, "holdfast-doctor", patient.settings.overlay_reserve, patient.processes, time());
  if (!root) {
    findings.push_back(problem(kArea, "storage", root.error(), "see CONTAINERS in holdfast(1)"));
    return;
  }
  findings.push_back({Level::kOk, kArea, "storage",
                      "its root '" + base::printable(found.root) + "' is in the " +
                          ((*root)->method() == "lvm" ? "logical volume" : "subvolume") + " '" +
                          base::printable((*root)->place().source) + "'"});
  const auto subvolumes = (*root)->left_out(time());
  const auto mounts = container::other_mounts(found.leader);
  if (!subvolumes || !mounts) return;
  const auto lacking = [&](const std::string& what) {
    findings.push_back({Level::kWarning, kArea, "left-out", what + " is not in the backup",
                        "back it up on its own, if it holds anything that is wanted"});
  };
  for (const std::string& path : *subvolumes)
    lacking("the subvolume '" + path + "' in it");
  for (const container::OtherMount& mount : *mounts)
    lacking("what is mounted at '" + mount.path + "' (" + mount.kind + ")");
}

}  // namespace

Findings check_container(const Patient& patient) {
  const config::Settings& settings = patient.settings;
  const auto time = [&] { return Deadline::in(settings.agent_timeout); };
  Findings findings;
  container::Archiver archiver(patient.processes, time(), patient.stop);
  if (const auto able = archiver.check_programs(settings.compress); !able) {
    findings.push_back(problem(kArea, "no-program", able.error(), "install tar and zstd"));
  }
  const auto manager = container::make_manager(settings.container, patient.processes);
  const auto found = manager->find(time(), patient.stop);
  if (!found) {
    findings.push_back(problem(kArea, "not-found", found.error(), "start it"));
    return findings;
  }
  const auto frozen = container::Freezer(found->cgroup).is_frozen();
  if (!frozen) {
    findings.push_back(problem(kArea, "freezer", frozen.error(), "see CONTAINERS in holdfast(1)"));
    return findings;
  }
  if (*frozen) {
    findings.push_back({Level::kProblem, kArea, "frozen", "its processes are frozen",
                        "if nobody is at work on it: holdfast thaw " + settings.vm});
    return findings;
  }
  findings.push_back({Level::kOk, kArea, "running",
                      settings.container.manager + ":" + settings.container.name + " runs"});
  look_at_root(patient, *found, findings);
  const auto there = container::AgentInside(*manager, patient.processes).look(time(), patient.stop);
  if (there) {
    findings.push_back({Level::kOk, kArea, "agent", "holdfastctl is in it"});
  } else {
    findings.push_back({settings.require == "application" ? Level::kProblem : Level::kWarning,
                        kArea, "no-agent",
                        "no backup of it is of level 'application': " + there.error().text(),
                        "install holdfast-agent in it"});
  }
  return findings;
}

}  // namespace holdfast::host::doctor
