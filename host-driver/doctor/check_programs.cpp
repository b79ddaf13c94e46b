// SPDX-License-Identifier: MIT
#include <charconv>
#include <string_view>

#include "doctor/doctor.h"
#include "image/qemu_img.h"

namespace holdfast::host::doctor {

using base::Deadline;

namespace {

constexpr const char* kArea = "programs";

// "7.2.22" -> 702; 0 if it does not look like that.
int release_of(std::string_view version) {
  int major = 0;
  int minor = 0;
  const char* const end = version.data() + version.size();
  const auto first = std::from_chars(version.data(), end, major);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != '.') return 0;
  if (std::from_chars(first.ptr + 1, end, minor).ec != std::errc()) return 0;
  return major * 100 + minor;
}

Finding look_at_qemu_img(const Patient& patient) {
  image::QemuImg images(patient.processes, patient.settings.qemu_img);
  const auto version = images.version(Deadline::in(patient.settings.qmp_timeout));
  if (!version) return problem(kArea, "no-qemu-img", version.error(), "set the key qemu-img");
  const int own = release_of(*version);
  const int machine = release_of(patient.qemu_version);
  if (own == 0) {
    return {Level::kUnknown, kArea, "qemu-img-version",
            "qemu-img says no version that is known: " + *version};
  }
  if (own < machine) {
    return {Level::kWarning, kArea, "old-qemu-img",
            "qemu-img " + *version + " is older than the machine's QEMU " + patient.qemu_version +
                ", and may not know all of its images",
            "name the other one with the key qemu-img"};
  }
  return {Level::kOk, kArea, "qemu-img", "qemu-img " + *version};
}

void look_at_compression(const Patient& patient, Findings& findings) {
  if (patient.settings.compress == name_of(image::Compression::kNone)) return;
  image::QemuImg images(patient.processes, patient.settings.qemu_img);
  images.compress(image::Compression::kZstd);
  const auto able = images.check_compression(Deadline::in(patient.settings.qmp_timeout));
  if (able || able.error().code() == base::ErrorCode::kNotFound) return;
  findings.push_back(problem(kArea, "qemu-img-compression", able.error(), able.error().hint()));
}

void look_at_zstd(const Patient& patient, Findings& findings) {
  const config::Settings& settings = patient.settings;
  if (settings.method != "checkpoint" || settings.compress == "none") return;
  const auto outcome = patient.processes.run(
      {.argv = {"zstd", "--version"}, .deadline = Deadline::in(settings.qmp_timeout)});
  if (outcome.succeeded()) return;
  findings.push_back({Level::kWarning, kArea, "no-zstd",
                      outcome.as_error("zstd").text() + ": the memory is kept uncompressed",
                      "install the package zstd"});
}

}  // namespace

Findings check_programs(const Patient& patient) {
  Findings findings{look_at_qemu_img(patient)};
  look_at_compression(patient, findings);
  look_at_zstd(patient, findings);
  const auto outcome =
      patient.processes.run({.argv = {patient.settings.qemu_storage_daemon, "--version"},
                             .deadline = Deadline::in(patient.settings.qmp_timeout)});
  if (!outcome.succeeded()) {
    findings.push_back(
        {Level::kWarning, kArea, "no-qemu-storage-daemon",
         outcome.as_error(patient.settings.qemu_storage_daemon).text() + ": 'export' will not work",
         "install the package qemu-system-common"});
  }
  const auto boot = patient.processes.run({.argv = {patient.settings.boot_qemu, "--version"},
                                           .deadline = Deadline::in(patient.settings.qmp_timeout)});
  if (!boot.succeeded()) {
    findings.push_back(
        {Level::kWarning, kArea, "no-boot-qemu",
         boot.as_error(patient.settings.boot_qemu).text() + ": 'verify --boot' will not work",
         "install the package qemu-system-x86, or set boot-qemu"});
  }
  return findings;
}

}  // namespace holdfast::host::doctor
