// SPDX-License-Identifier: MIT
#include "boot/command.h"

#include <algorithm>
#include <string_view>

#include "base/json_codec.h"
#include "definition/command_line.h"

namespace holdfast::host::boot {

using base::Json;
using base::Result;

namespace {

constexpr std::string_view kJsonName = "json:";
constexpr std::uint64_t kMiB = std::uint64_t{1} << 20U;

std::string node_of(std::size_t number) {
  return "disk" + std::to_string(number);
}

Result<std::string> blockdev_of(const Stand::Images& images, const std::string& node) {
  const auto below = image::source_of(images.below);
  if (!below) return below.error();
  const auto chain = base::parse_json(std::string_view(*below).substr(kJsonName.size()),
                                      {std::size_t{1} << 20U, 512});
  if (!chain) return chain.error();
  Json backing = *chain;
  backing["read-only"] = true;
  // What is written is thrown away: nothing has to reach a disk.
  const Json blockdev{{"driver", "qcow2"},
                      {"node-name", node},
                      {"discard", "unmap"},
                      {"cache", {{"no-flush", true}}},
                      {"file",
                       {{"driver", "file"},
                        {"filename", images.overlay},
                        {"discard", "unmap"},
                        {"cache", {{"no-flush", true}}}}},
                      {"backing", std::move(backing)}};
  return base::to_line(blockdev);
}

std::string device_of(const PlannedDisk& disk, const std::string& node, bool may_boot,
                      std::size_t number) {
  std::string device;
  std::string more = disk.serial.empty() ? "" : ",serial=" + disk.serial;
  switch (disk.bus) {
    case Bus::kVirtio:
      device = "virtio-blk-pci";
      break;
    case Bus::kScsi:
      device = "scsi-hd";
      break;
    case Bus::kIde:
      device = "ide-hd";
      break;
    case Bus::kNvme:
      device = "nvme";
      if (disk.serial.empty()) more = ",serial=" + node;
      break;
    case Bus::kUsb:
      device = "usb-storage";
      break;
  }
  // A boot index comes before -kernel (QEMU's own rule).
  if (may_boot) more += ",bootindex=" + std::to_string(number);
  return device + ",drive=" + node + ",id=dev-" + node + more;
}

bool has(const Plan& plan, Bus bus) {
  return std::any_of(plan.disks.begin(), plan.disks.end(),
                     [&](const PlannedDisk& disk) { return !disk.pflash && disk.bus == bus; });
}

void add(std::vector<std::string>& words, std::initializer_list<std::string> more) {
  words.insert(words.end(), more);
}

void add_firmware(std::vector<std::string>& words, const Plan& plan, std::string& machine) {
  for (const Firmware& firmware : plan.firmware) {
    const std::string node = "firmware" + std::to_string(firmware.unit);
    const Json blockdev{{"driver", "raw"},
                        {"node-name", node},
                        {"read-only", true},
                        {"file", {{"driver", "file"}, {"filename", firmware.path}}}};
    add(words, {"-blockdev", base::to_line(blockdev)});
    machine += ",pflash" + std::to_string(firmware.unit) + "=" + node;
  }
}

void add_kernel(std::vector<std::string>& words, const Kernel& kernel) {
  add(words, {"-kernel", kernel.path});
  if (!kernel.initrd.empty()) add(words, {"-initrd", kernel.initrd});
  if (!kernel.parameters.empty()) add(words, {"-append", kernel.parameters});
}

constexpr const char* kSandbox =
    "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny";

}  // namespace

Result<std::vector<std::string>> qemu_command(const Plan& plan, const Stand& stand) {
  std::vector<std::string> words{stand.qemu, "-no-user-config", "-nodefaults"};
  add(words, {"-display", "none", "-nic", "none", "-monitor", "none"});
  add(words, {"-sandbox", kSandbox});
  // QEMU keeps what it has translated in memory, and would take up to 1 GiB for it.
  add(words, {"-accel", stand.kvm ? "kvm" : "tcg,thread=multi,tb-size=256"});
  add(words, {"-cpu", stand.kvm && !plan.cpu.empty() ? plan.cpu : "max"});
  add(words, {"-smp", std::to_string(plan.cpus)});
  add(words, {"-m", std::to_string(std::max<std::uint64_t>(1, plan.memory / kMiB)) + "M"});
  if (!plan.uuid.empty()) add(words, {"-uuid", plan.uuid});
  add(words, {"-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console", "-device",
              "virtio-serial-pci", "-chardev",
              "socket,id=agent,path=" + definition::with_doubled_commas(stand.agent) +
                  ",server=on,wait=off",
              "-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0", "-device",
              "virtio-rng-pci"});
  if (has(plan, Bus::kScsi)) add(words, {"-device", plan.scsi});
  if (has(plan, Bus::kUsb)) add(words, {"-device", "qemu-xhci"});
  std::string machine = plan.machine;
  add_firmware(words, plan, machine);
  for (std::size_t i = 0; i < plan.disks.size(); ++i) {
    const PlannedDisk& disk = plan.disks[i];
    const std::string node = node_of(i);
    auto blockdev = blockdev_of(stand.images[i], node);
    if (!blockdev) return std::move(blockdev).error();
    add(words, {"-blockdev", *blockdev});
    if (disk.pflash) {
      machine += ",pflash" + std::to_string(*disk.pflash) + "=" + node;
    } else {
      add(words, {"-device", device_of(disk, node, !plan.kernel, i)});
    }
  }
  add(words, {"-machine", machine});
  if (plan.kernel) add_kernel(words, *plan.kernel);
  return words;
}

}  // namespace holdfast::host::boot
