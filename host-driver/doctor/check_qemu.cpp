// SPDX-License-Identifier: MIT
//
// The monitor: is it there, may we, does it answer, and what does the machine do.

#include "base/text.h"
#include "definition/process.h"
#include "doctor/doctor.h"
#include "qmp/jobs.h"
#include "qmp/schema.h"
#include "run/channel.h"
#include "snapshot/commit_end.h"

namespace holdfast::host::doctor {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;

namespace {

constexpr const char* kArea = "qemu";
constexpr std::string_view kOurs = "holdfast";

Finding unreachable(const Error& error) {
  Finding finding = problem(kArea, "monitor", error,
                            "is the machine running, with -qmp unix:PATH,server=on,wait=off ?");
  if (error.code() == ErrorCode::kPermission) {
    finding.hint = "run this as root, or as a user who may open the socket";
  }
  return finding;
}

Finding look_at_state(const std::string& state, const std::string& version) {
  const std::string text = "QEMU " + version + ", " + state;
  if (state == "running") return {Level::kOk, kArea, "running", text};
  return {Level::kWarning, kArea, "not-running",
          text + ": no agent answers while the machine stands still",
          "a backup of it reaches level crash at most"};
}

// What a run of ours would have taken away.
Result<std::vector<std::string>> leftovers(qmp::Client& monitor, Deadline deadline) {
  std::vector<std::string> names;
  const auto jobs = qmp::query_jobs(monitor, deadline);
  if (!jobs) return jobs.error();
  for (const qmp::Job& job : *jobs) {
    if (job.id.starts_with(kOurs)) names.push_back("job " + job.id);
  }
  const auto nodes = qmp::read_nodes(monitor, deadline);
  if (!nodes) return nodes.error();
  for (const qmp::Node& node : *nodes) {
    if (node.name.starts_with(kOurs)) names.push_back("node " + node.name);
  }
  return names;
}

void look_at_leftovers(qmp::Client& monitor, const Patient& patient, Findings& findings) {
  const auto left = leftovers(monitor, Deadline::in(patient.settings.qmp_timeout));
  if (!left) {
    findings.push_back(
        problem(kArea, "leftovers", left.error(), "holdfast recover " + patient.settings.vm));
    return;
  }
  if (left->empty()) return;
  findings.push_back({Level::kWarning, kArea, "leftovers",
                      "QEMU still has of a run: " + base::printable(left->front(), 100) +
                          (left->size() > 1 ? " and others" : ""),
                      "if no run is at work: holdfast recover " + patient.settings.vm});
}

// Of who listens at the monitor's socket, if that is to be seen.
std::vector<std::string> words_of(pid_t process) {
  auto words = definition::command_line_of(process);
  return words ? std::move(*words) : definition::Words{};
}

}  // namespace

std::vector<std::string> probed_drives(const std::vector<std::string>& words) {
  std::vector<std::string> probed;
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    std::string_view option = words[i];
    if (option.starts_with("--")) option.remove_prefix(1);
    const std::string& value = words[i + 1];
    const bool disk = option == "-hda" || option == "-hdb" || option == "-hdc" || option == "-hdd";
    const bool says_format = ("," + value).find(",format=") != std::string::npos ||
                             ("," + value).find(",driver=") != std::string::npos;
    const bool has_file = ("," + value).find(",file=") != std::string::npos;
    const bool read_only = value.find("media=cdrom") != std::string::npos;
    if (disk || (option == "-drive" && has_file && !says_format && !read_only)) {
      probed.push_back(value);
    }
  }
  return probed;
}

Findings check_qemu(Patient& patient) {
  const config::Settings& settings = patient.settings;
  if (run::is_by_libvirt(settings)) return check_libvirt(patient);
  if (settings.qmp.empty()) return {};
  const auto deadline = [&] { return Deadline::in(settings.qmp_timeout); };
  auto monitor = qmp::Client::connect(settings.qmp, deadline(), patient.stop);
  if (!monitor) return {unreachable(monitor.error())};
  patient.qemu_version = base::printable(monitor->version(), 40);
  Findings findings;
  const auto status = monitor->execute("query-status", Json::object(), deadline(), patient.stop);
  if (!status) return {problem(kArea, "monitor", status.error(), "is the machine hanging?")};
  findings.push_back(look_at_state(
      base::printable(base::string_member(*status, "status").value_or("in an unknown state"), 40),
      patient.qemu_version));
  look_at_leftovers(*monitor, patient, findings);
  for (const std::string& drive : probed_drives(words_of(monitor->peer()))) {
    findings.push_back({Level::kWarning, kArea, "probed-format",
                        "QEMU probes the format of '" + base::printable(drive, 200) +
                            "': a guest that writes another header changes what it is taken for",
                        "give format=raw or format=qcow2 with -drive"});
  }
  if (settings.compress != "none") {
    const auto able = qmp::require_compression(*monitor, settings.compress, deadline());
    if (!able)
      findings.push_back(problem(kArea, "qemu-compression", able.error(), able.error().hint()));
  }
  look_at_definition(patient, *monitor, findings);
  auto graph = qmp::read_block_graph(*monitor, deadline());
  if (graph) {
    if (settings.method == "overlay") {
      const auto survives = snapshot::check_commit_end(*monitor, graph->disks, deadline());
      if (!survives) findings.push_back(problem("disks", "commit", survives.error(), ""));
    }
    patient.disks = std::move(*graph);
    look_at_method(patient, *monitor, findings);
    look_at_snapshot_method(patient, *monitor, findings);
  } else {
    findings.push_back(problem("disks", "unusable-disk", graph.error(),
                               "detach it, or convert it to raw or qcow2"));
  }
  return findings;
}

}  // namespace holdfast::host::doctor
