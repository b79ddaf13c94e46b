// SPDX-License-Identifier: MIT
//
// A domain as libvirt has it at this moment, over the program that stands between (bridge/). Asking
// waits until libvirt has done whatever it is just doing to the domain, so that an answer is never
// older than a call that an earlier run had under way.
//
// Threads, errors: as qmp::Client. Ownership: plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "qmp/block_graph.h"
#include "qmp/client.h"

namespace holdfast::host::libvirt {

struct DomainDisk {
  std::string target;  // "vda"
  std::string alias;
  std::string skip;     // why it is none to back up, or empty
  std::string problem;  // why it cannot be backed up, or empty
  std::vector<qmp::ImageLayer> chain;
  std::string cache;
  std::string job;  // "active-commit", …, or empty
  bool job_ready = false;
  std::string bus;         // "virtio", "ide", "scsi"
  bool ioeventfd = false;  // of it, or of its controller; virtio's alone have one
  std::uint64_t size = 0;

  // The image that the guest writes to; empty if it is not known.
  [[nodiscard]] std::string top() const { return chain.empty() ? std::string() : chain[0].path; }
};

struct DomainDisks {
  bool active = false;
  std::vector<DomainDisk> disks;
  // What the next start would use.
  std::set<std::string> inactive_paths;

  [[nodiscard]] const DomainDisk* find(const std::string& target) const;
  // Does anything, now or at the next start, stand on this file?
  [[nodiscard]] bool uses(const std::string& path) const;
};

struct DomainTpm {
  std::string backend;    // "emulator", "passthrough", "external"
  std::string directory;  // of its state, if the definition says it; or
  std::string file;       // the one file
  bool encrypted = false;
};

struct Domain {
  DomainDisks disks;
  std::string name;
  std::string uuid;
  std::string state;
  std::string libvirt;  // its version
  std::string nvram;    // path, or empty
  // Why the UEFI variables that are there cannot be copied, or empty.
  std::string nvram_problem;
  std::optional<DomainTpm> tpm;
  std::string agent;  // its channel: "missing", "there", "connected", "disconnected"
  bool persistent = false;
  std::string live_xml;
  std::string inactive_xml;
};

[[nodiscard]] base::Result<DomainDisks> read_disks(qmp::Client& bridge, base::Deadline deadline);
[[nodiscard]] base::Result<Domain> read_domain(qmp::Client& bridge, base::Deadline deadline);

// The disks to back up. kUnsupported names the first that cannot be, kBusy the first with a job of
// somebody else's.
[[nodiscard]] base::Result<qmp::BlockGraph> block_graph_of(const DomainDisks& disks);

// The host of "qemu+ssh://user@host/system"; empty for this one. That of "qemu+ext:///system" is
// never this one, since nothing tells.
[[nodiscard]] std::string remote_host(const std::string& uri);

}  // namespace holdfast::host::libvirt
