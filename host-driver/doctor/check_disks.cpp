// SPDX-License-Identifier: MIT
//
// The disks and their files, and room for the overlays that stand beside them during a run.
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/text.h"
#include "doctor/doctor.h"
#include "repository/paths.h"

namespace holdfast::host::doctor {

namespace {

constexpr const char* kArea = "disks";

bool puts_overlays(const config::Settings& settings) {
  return settings.method == "overlay" || settings.method == "checkpoint";
}

// Can all of it be read? The first image that cannot.
std::optional<Finding> look_at_files(const qmp::Disk& disk) {
  for (const qmp::ImageLayer& layer : disk.chain) {
    if (::access(layer.path.c_str(), R_OK) == 0) continue;
    const int why = errno;
    return Finding{Level::kProblem, kArea, "unreadable-image",
                   "unable to read '" + base::printable(layer.path) + "' of disk '" + disk.name +
                       "': " + std::strerror(why),
                   why == EACCES ? "run this as root, or as a user who may read the images"
                                 : "the machine must see its images under the same paths as we do"};
  }
  return {};
}

// How much of a disk may be written while it is copied, as the settings have it.
std::uint64_t reserve_of(const config::Settings& settings, const qmp::Disk& disk) {
  return disk.virtual_size / 100 * static_cast<std::uint64_t>(settings.overlay_reserve);
}

std::optional<Finding> look_at_room(const config::Settings& settings, const qmp::Disk& disk) {
  const bool block_device = [&] {
    struct stat status {};
    return ::stat(disk.chain.front().path.c_str(), &status) == 0 && S_ISBLK(status.st_mode);
  }();
  if (block_device && settings.overlay_directory.empty()) {
    return Finding{Level::kProblem, kArea, "no-overlay-directory",
                   "disk '" + disk.name + "' is a block device: its overlay cannot stand beside it",
                   "set overlay-directory to a directory that QEMU may write to"};
  }
  const std::string directory = settings.overlay_directory.empty()
                                    ? base::directory_of(disk.chain.front().path)
                                    : settings.overlay_directory;
  if (::access(directory.c_str(), W_OK) != 0) {
    return Finding{Level::kProblem, kArea, "overlay-directory",
                   "unable to write to '" + base::printable(directory) +
                       "', where the overlay of disk '" + disk.name +
                       "' stands: " + std::strerror(errno),
                   "set overlay-directory, or run this as a user who may write there"};
  }
  const auto free = repository::free_space(directory);
  if (!free) return problem(kArea, "overlay-space", free.error(), "set overlay-directory");
  const std::uint64_t wanted = reserve_of(settings, disk);
  if (*free >= wanted) return {};
  return Finding{Level::kProblem, kArea, "overlay-space",
                 "'" + base::printable(directory) + "' has " + base::format_bytes(*free) +
                     " free, " + base::format_bytes(wanted) +
                     " are wanted for the overlay of disk '" + disk.name + "'",
                 "free some space, set overlay-directory, or lower overlay-reserve"};
}

}  // namespace

Findings check_disks(const Patient& patient) {
  Findings findings;
  if (!patient.disks) return findings;
  for (const qmp::SkippedDevice& device : patient.disks->skipped) {
    findings.push_back({Level::kOk, kArea, "left-out",
                        "'" + device.name + "' is left out: it is " + device.reason});
  }
  if (patient.disks->disks.empty()) {
    findings.push_back({Level::kProblem, kArea, "no-disks",
                        "the machine has no disk that could be backed up", "is it the right one?"});
  }
  for (const qmp::Disk& disk : patient.disks->disks) {
    auto finding = look_at_files(disk);
    // Other methods put nothing beside the images.
    if (!finding && puts_overlays(patient.settings)) {
      finding = look_at_room(patient.settings, disk);
    }
    if (finding) {
      findings.push_back(std::move(*finding));
      continue;
    }
    const qmp::ImageLayer& top = disk.chain.front();
    findings.push_back(
        {Level::kOk, kArea, "disk",
         "'" + disk.name + "' " + top.format + ", " + base::format_bytes(disk.virtual_size) + " (" +
             base::format_bytes(disk.actual_size) + " in use)" +
             (disk.chain.size() > 1
                  ? ", on " + std::to_string(disk.chain.size() - 1) + " backing files"
                  : "")});
    if (disk.cache_no_flush) {
      findings.push_back({Level::kWarning, kArea, "unsafe-cache",
                          "disk '" + disk.name +
                              "' runs with cache=unsafe: what the guest has "
                              "flushed may not be on disk",
                          "use another cache mode"});
    }
  }
  return findings;
}

}  // namespace holdfast::host::doctor
