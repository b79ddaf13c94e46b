// SPDX-License-Identifier: MIT
//
// What a backup has to know of a domain's definition, read from its XML: the disks with every image
// below them, in the format that libvirt gives, and what else belongs to the machine. Nothing is
// guessed: a disk that cannot be read from outside, or whose format or chain libvirt does not say,
// is a problem with a reason.
//
// Threads: plain values.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace holdfast::host::libvirt {

struct XmlLayer {
  std::string path;
  std::string format;  // "raw" or "qcow2"
};

struct XmlDisk {
  std::string target;  // "vda": libvirt's name of the disk
  std::string alias;   // the device's name in QEMU, may be empty
  // Why it is none to back up: "removable", "empty", "read-only". Empty if it is one.
  std::string skip;
  // Why it cannot be backed up; empty if it can.
  std::string problem;
  // What the guest sees first, its backing files after it.
  std::vector<XmlLayer> chain;
  std::string cache;  // "none", "writeback", …; empty: the default
  // The job that copies between its images: "active-commit", "copy"; empty if there is none.
  std::string job;
  bool job_ready = false;
  std::string bus;  // "virtio", "ide", "scsi"
  // QEMU is told of new requests by an eventfd, as it is of virtio's by default, and looks at none
  // while the disk is drained.
  bool ioeventfd = false;
};

struct XmlTpm {
  std::string backend;  // "emulator", "passthrough", "external"
  // Where its state is, if the definition says it: a directory, or one file.
  std::string directory;
  std::string file;
  bool encrypted = false;
};

struct XmlDomain {
  std::vector<XmlDisk> disks;
  // The file with the UEFI variables; empty if there is none that can be copied.
  std::string nvram;
  // Why the variables that are there cannot be copied; empty if they can.
  std::string nvram_problem;
  std::optional<XmlTpm> tpm;
  // The guest agent's channel: "missing", "connected", "disconnected"; "there" if nobody says.
  std::string agent = "missing";
};

// kProtocol for what is no domain.
[[nodiscard]] base::Result<XmlDomain> read_domain_xml(const std::string& xml);

}  // namespace holdfast::host::libvirt
