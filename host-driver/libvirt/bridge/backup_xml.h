// SPDX-License-Identifier: MIT
//
// What virDomainBackupBegin is told, what libvirt says of a backup that runs, and of checkpoints.
// Pure functions: paths and names are data in it, whatever stands in them.
//
// Threads: plain values and functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace holdfast::host::libvirt {

struct BackupTarget {
  std::string disk;  // "vda"
  std::string path;  // of the qcow2 image to write to, which exists
  // The checkpoint since which the changes are wanted; empty: all of the disk.
  std::string since;
};

// Disks that are not named are left alone.
[[nodiscard]] std::string backup_xml(const std::vector<BackupTarget>& targets);
// The files that the backup of this document writes to.
[[nodiscard]] base::Result<std::vector<std::string>> read_backup_targets(const std::string& xml);

struct NewCheckpoint {
  std::string name;
  std::string description;
  std::vector<std::string> disks;
  // All other disks of the domain: libvirt would take one that is not named as well.
  std::vector<std::string> others;
};

[[nodiscard]] std::string checkpoint_xml(const NewCheckpoint& checkpoint);

struct CheckpointDisk {
  std::string disk;
  // What has changed since, in bytes; nothing where libvirt does not know: the bitmap is missing
  // or inconsistent, or the machine does not run.
  std::optional<std::uint64_t> changed;
};
struct XmlCheckpoint {
  std::string name;
  std::string description;
  // Those that have a bitmap.
  std::vector<CheckpointDisk> disks;
};

[[nodiscard]] base::Result<XmlCheckpoint> read_checkpoint(const std::string& xml);
// The same checkpoint, with this disk alone.
[[nodiscard]] base::Result<std::string> checkpoint_of_one_disk(const std::string& xml,
                                                               const std::string& disk);

}  // namespace holdfast::host::libvirt
