// SPDX-License-Identifier: MIT
//
// What a throwaway machine for a backup is to be like: as much like the machine that was backed up
// as its manifest and its definition tell, and with nothing but disks, a serial console and the
// agent's channel. The recorded command line is data: what is taken from it is looked up by name,
// checked, and said anew; no word of it becomes one of ours as it is, but the kernel's parameters.
//
// Threads: plain values and functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json_codec.h"
#include "repository/manifest.h"

namespace holdfast::host::boot {

enum class Bus { kVirtio, kScsi, kIde, kNvme, kUsb };

struct PlannedDisk {
  std::size_t entry = 0;  // of the manifest's disks
  Bus bus = Bus::kVirtio;
  std::string serial;         // plain; empty: none
  std::optional<int> pflash;  // it is no disk, but the flash of this unit
};

// Read-only flash, which no backup holds: it is the host's, and must still be what it was.
struct Firmware {
  int unit = 0;
  std::string path;
  std::uint64_t bytes = 0;
  std::string sha256;
};

struct Kernel {
  std::string path;
  std::string initrd;  // empty: none
  std::string parameters;
};

struct Plan {
  std::string machine = "pc";            // a type that a QEMU of its age knows
  std::string cpu;                       // a model; empty: not known
  std::string uuid;                      // empty: not known
  std::string scsi = "virtio-scsi-pci";  // the controller
  unsigned cpus = 1;
  std::uint64_t memory = 0;
  std::vector<PlannedDisk> disks;
  std::vector<Firmware> firmware;
  std::optional<Kernel> kernel;
  // In what it is not like the machine.
  std::vector<std::string> notes;
};

struct Bounds {
  std::uint64_t memory = 0;
  unsigned cpus = 1;
};

// `definition` is the content of definition.json; null where the backup has none that can be used.
[[nodiscard]] Plan plan_machine(const repository::Manifest& manifest, const base::Json& definition,
                                Bounds bounds);

}  // namespace holdfast::host::boot
