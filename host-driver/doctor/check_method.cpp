// SPDX-License-Identifier: MIT
//
// Will the method do for these disks? Those whose instant is taken below QEMU, or that want more of
// QEMU than the disks, are asked themselves.
#include <sys/stat.h>

#include "base/text.h"
#include "doctor/doctor.h"
#include "image/qemu_img.h"
#include "point/points.h"
#include "run/strategy_context.h"
#include "snapshot/btrfs/subvolume_point.h"
#include "snapshot/checkpoint/checkpoint_strategy.h"
#include "snapshot/checkpoint/migration.h"
#include "snapshot/keep/keep_instant.h"
#include "snapshot/methods/factory.h"

namespace holdfast::host::doctor {

namespace {

constexpr const char* kArea = "disks";

// What other methods need is looked at one by one, in check_disks.cpp.
bool asks_itself(std::string_view method) {
  return method != "overlay" && method != "backup";
}

// How long will the machine stand still for its memory?
void look_at_memory(const config::Settings& settings, qmp::Client& monitor, Findings& findings) {
  if (settings.memory == "stopped") return;
  const auto live =
      snapshot::Migration(monitor).check_live(base::Deadline::in(settings.qmp_timeout));
  if (live) {
    findings.push_back({Level::kOk, kArea, "memory",
                        "the memory can be saved live: the machine stands still for milliseconds"});
    return;
  }
  findings.push_back({Level::kWarning, kArea, "memory",
                      "the machine will stand still until its memory is written, which cannot be "
                      "saved live: " +
                          live.error().text(),
                      "let QEMU run as root or set vm.unprivileged_userfaultfd, and give it memory "
                      "that is not shared; 'memory = stopped' says that this is meant"});
}

constexpr const char* kNoId = "00000000";

base::Result<void> check_beside(const Patient& patient, qmp::Client& monitor) {
  const config::Settings& settings = patient.settings;
  image::QemuImg images(patient.processes, settings.qemu_img);
  return snapshot::KeepInstant(monitor, kNoId)
      .check(patient.disks->disks, images, settings.overlay_reserve,
             base::Deadline::in(settings.qmp_timeout));
}

// What is pruned there takes its space for as long as a point is kept.
void look_at_repository_beside(const std::string& repository, const std::string& subvolume,
                               Findings& findings) {
  struct stat theirs {};
  struct stat images {};
  // Each subvolume is a device of its own.
  if (repository.empty() || ::stat(repository.c_str(), &theirs) != 0 ||
      ::stat(subvolume.c_str(), &images) != 0 || theirs.st_dev != images.st_dev) {
    return;
  }
  findings.push_back({Level::kWarning, kArea, "repository-in-points",
                      "the repository is in the subvolume " + base::in_quotes(subvolume) +
                          ", and so in every restore point of it: what is pruned stays there",
                      "give the images a subvolume of their own: btrfs subvolume create"});
}

base::Result<void> check_subvolumes(const Patient& patient, qmp::Client& monitor,
                                    Findings& findings) {
  const config::Settings& settings = patient.settings;
  image::QemuImg images(patient.processes, settings.qemu_img);
  snapshot::JournalFile unused("");
  snapshot::SubvolumePoint point(run::strategy_context(settings, monitor, images, unused, "doctor"),
                                 kNoId);
  auto fit = point.check_point(*patient.disks, base::Deadline::in(settings.qmp_timeout));
  if (!fit) return fit;
  for (const snapshot::JournalSnapshot& place : point.places())
    look_at_repository_beside(settings.repository, place.source, findings);
  return {};
}

}  // namespace

void look_at_method(const Patient& patient, qmp::Client& monitor, Findings& findings) {
  const config::Settings& settings = patient.settings;
  if (!asks_itself(settings.method) || !patient.disks || patient.disks->disks.empty()) return;
  image::QemuImg images(patient.processes, settings.qemu_img);
  snapshot::JournalFile unused("");
  auto strategy = snapshot::make_strategy(
      settings.method, run::strategy_context(settings, monitor, images, unused, "doctor"));
  if (!strategy) {
    findings.push_back(problem(kArea, "method", strategy.error(), "see METHODS in holdfast(1)"));
    return;
  }
  const auto plan = (*strategy)->check(*patient.disks, {});
  if (!plan) {
    findings.push_back(problem(kArea, "method", plan.error(), "see METHODS in holdfast(1)"));
    return;
  }
  findings.push_back({Level::kOk, kArea, "method",
                      "the method '" + settings.method + "' will do for all of them"});
  if (settings.method == snapshot::CheckpointStrategy::kName) {
    look_at_memory(settings, monitor, findings);
    return;
  }
  if (!settings.incremental) return;
  findings.push_back({Level::kWarning, kArea, "no-increments",
                      "every backup is a full one: " + plan->front().full_because,
                      "'incremental = no' says that this is meant; overlay and backup make them"});
}

void look_at_snapshot_method(const Patient& patient, qmp::Client& monitor, Findings& findings) {
  const config::Settings& settings = patient.settings;
  const bool beside = settings.snapshot_method == point::kOverlay;
  if (!beside && settings.snapshot_method != point::kBtrfs) return;
  if (!patient.disks || patient.disks->disks.empty()) return;
  const auto fit =
      beside ? check_beside(patient, monitor) : check_subvolumes(patient, monitor, findings);
  if (fit) {
    findings.push_back({Level::kOk, kArea, "snapshot-method",
                        beside ? "restore points can be kept beside the images of all of them"
                               : "restore points can be kept of the subvolumes of all of them"});
    return;
  }
  Finding finding =
      problem(kArea, "snapshot-method", fit.error(), "see RESTORE POINTS in holdfast(1)");
  // Backups are another matter.
  finding.level = Level::kWarning;
  findings.push_back(std::move(finding));
}

}  // namespace holdfast::host::doctor
