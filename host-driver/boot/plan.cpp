// SPDX-License-Identifier: MIT
#include "boot/plan.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/text.h"
#include "definition/command_line.h"
#include "definition/redaction.h"
#include "qmp/block_graph.h"

namespace holdfast::host::boot {

using base::Json;
using definition::Words;

namespace {

constexpr std::string_view kTypeSuffix = "-machine";
constexpr std::size_t kLongestName = 80;
constexpr std::size_t kMostCpus = 255;
// Linux takes no more from a boot loader (COMMAND_LINE_SIZE).
constexpr std::size_t kLongestParameters = 2048;

const Json& member(const Json& object, const char* key) {
  static const Json kNone;
  if (!object.is_object()) return kNone;
  const auto found = object.find(key);
  return found == object.end() ? kNone : *found;
}

std::string text_of(const Json& object, const char* key) {
  const Json& value = member(object, key);
  return value.is_string() ? value.get<std::string>() : std::string();
}

bool is_plain(std::string_view text) {
  return base::is_plain_name(text);
}

Words words_of(const Json& definition) {
  Words words;
  const Json& recorded = member(definition, "command_line");
  if (!recorded.is_array()) return words;
  for (const Json& word : recorded)
    words.push_back(word.is_string() ? word.get<std::string>() : std::string());
  return words;
}

// "pc-q35-7.2-machine" is "pc-q35-7.2" on the command line.
std::string type_of(const Json& machine) {
  std::string type = text_of(machine, "type");
  if (!type.ends_with(kTypeSuffix)) return {};
  type.resize(type.size() - kTypeSuffix.size());
  return is_plain(type) ? type : std::string();
}

// "-device virtio-blk-pci,drive=…": the first piece, or the member "driver".
std::string driver_in(const std::string& device) {
  if (device.starts_with('{')) return definition::key_in(device, "driver").value_or("");
  const std::string first(definition::pieces_of(device).front());
  const std::size_t equals = first.find('=');
  return equals == std::string::npos ? first : definition::key_in(device, "driver").value_or("");
}

std::optional<Bus> bus_of_driver(std::string_view driver) {
  if (driver.starts_with("virtio-blk")) return Bus::kVirtio;
  if (driver.starts_with("scsi-")) return Bus::kScsi;
  if (driver.starts_with("ide-")) return Bus::kIde;
  if (driver.starts_with("nvme")) return Bus::kNvme;
  if (driver.starts_with("usb-")) return Bus::kUsb;
  return std::nullopt;
}

std::optional<Bus> bus_of_interface(std::string_view name) {
  if (name == "virtio") return Bus::kVirtio;
  if (name == "scsi") return Bus::kScsi;
  if (name == "ide" || name == "sata") return Bus::kIde;
  if (name == "usb") return Bus::kUsb;
  return std::nullopt;
}

// The -device of a disk: the one with its name, or the one on its backend or node. Empty: none.
std::string device_of(const Words& words, const Json& disk) {
  const std::string qdev = text_of(disk, "qdev");
  const std::string backend = text_of(disk, "device");
  const std::string node = text_of(disk, "node");
  for (const std::string& device : definition::values_of(words, "-device")) {
    const std::string id = definition::key_in(device, "id").value_or("");
    const std::string drive = definition::key_in(device, "drive").value_or("");
    const bool by_id =
        !id.empty() &&
        (qdev == id || qdev.find("/" + id + "/") != std::string::npos || qdev.ends_with("/" + id));
    const bool by_drive = !drive.empty() && (drive == backend || drive == node);
    if (by_id || by_drive) return device;
  }
  return {};
}

// QEMU's own name of a backend without one: "virtio0", "ide0-hd0", "scsi0-hd1".
std::optional<Bus> bus_of_backend(std::string_view name) {
  static constexpr std::array<std::string_view, 4> kNames{"virtio", "ide", "scsi", "usb"};
  for (const std::string_view known : kNames) {
    const bool own = name.starts_with(known) && name.size() > known.size() &&
                     name[known.size()] >= '0' && name[known.size()] <= '9';
    if (own) return bus_of_interface(known);
  }
  return std::nullopt;
}

std::optional<Bus> bus_of(const Words& words, const Json& disk, const std::string& device) {
  if (const auto bus = bus_of_driver(driver_in(device)); bus) return bus;
  if (text_of(disk, "qdev").ends_with("/virtio-backend")) return Bus::kVirtio;
  const std::string backend = text_of(disk, "device");
  for (const std::string& drive : definition::values_of(words, "-drive")) {
    if (backend.empty() || definition::key_in(drive, "id").value_or("") != backend) continue;
    if (const auto bus = bus_of_interface(definition::key_in(drive, "if").value_or("")); bus) {
      return bus;
    }
  }
  return bus_of_backend(backend);
}

void plan_disks(const repository::Manifest& manifest, const Words& words, Plan& plan) {
  const Json& entries = member(manifest.document, "disks");
  for (std::size_t i = 0; i < manifest.disks.size(); ++i) {
    PlannedDisk planned;
    planned.entry = i;
    planned.pflash = manifest.disks[i].pflash;
    if (!planned.pflash) {
      const Json& recorded = entries[i];
      const std::string device = device_of(words, recorded);
      const auto bus = bus_of(words, recorded, device);
      if (!bus) {
        plan.notes.push_back("on which bus the disk '" + manifest.disks[i].name +
                             "' was is not known: it is on virtio's");
      }
      planned.bus = bus.value_or(Bus::kVirtio);
      const std::string serial = definition::key_in(device, "serial").value_or("");
      if (is_plain(serial)) planned.serial = serial;
    }
    plan.disks.push_back(std::move(planned));
  }
}

// Of those that a small guest is likely to know.
void plan_controller(const Words& words, Plan& plan) {
  static constexpr std::array<std::string_view, 5> kKnown{"virtio-scsi-pci", "lsi53c895a", "lsi",
                                                          "megasas", "pvscsi"};
  for (const std::string& device : definition::values_of(words, "-device")) {
    const std::string driver = driver_in(device);
    if (std::find(kKnown.begin(), kKnown.end(), driver) == kKnown.end()) continue;
    plan.scsi = driver;
    return;
  }
}

void plan_firmware(const Json& definition, Plan& plan) {
  const Json& recorded = member(definition, "firmware");
  if (!recorded.is_array()) return;
  for (const Json& entry : recorded) {
    const auto unit = qmp::pflash_unit(text_of(entry, "device"));
    const auto bytes = base::integer_member(entry, "bytes");
    Firmware firmware{unit.value_or(0), text_of(entry, "file"), 0, text_of(entry, "sha256")};
    if (!unit || !bytes || *bytes <= 0 || !firmware.path.starts_with('/')) continue;
    firmware.bytes = static_cast<std::uint64_t>(*bytes);
    plan.firmware.push_back(std::move(firmware));
  }
}

void plan_kernel(const Json& definition, const Words& words, Plan& plan) {
  const auto last = [&](std::string_view option) {
    const auto values = definition::values_of(words, option);
    return values.empty() ? std::string() : values.back();
  };
  const std::string directory = text_of(definition, "working_directory");
  const auto whole = [&](const std::string& path) {
    return path.empty() || path.starts_with('/') ? path : directory + "/" + path;
  };
  Kernel kernel{whole(last("-kernel")), whole(last("-initrd")), last("-append")};
  if (kernel.path.empty()) return;
  if (kernel.parameters.find(definition::kRedacted) != std::string::npos) {
    plan.notes.emplace_back(
        "a parameter of its kernel was taken out as a secret, and is not there");
  }
  if (kernel.parameters.size() > kLongestParameters) kernel.parameters.resize(kLongestParameters);
  plan.kernel = std::move(kernel);
}

// "Skylake-Server,+vmx": the model alone.
std::string model_in(const Words& words) {
  const auto values = definition::values_of(words, "-cpu");
  if (values.empty()) return {};
  const std::string model(definition::pieces_of(values.back()).front());
  return is_plain(model) && model != "host" ? model : std::string();
}

bool is_uuid(std::string_view text) {
  return text.size() == 36 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || c == '-';
         });
}

void plan_size(const Json& machine, Bounds bounds, Plan& plan) {
  plan.memory = bounds.memory;
  if (const auto bytes = base::integer_member(machine, "memory_bytes"); bytes && *bytes > 0) {
    const auto had = static_cast<std::uint64_t>(*bytes);
    if (had > bounds.memory) {
      plan.notes.push_back("it has " + base::format_bytes(bounds.memory) +
                           " of memory, the machine had " + base::format_bytes(had));
    }
    plan.memory = std::min(had, bounds.memory);
  }
  const auto cpus = base::integer_member(machine, "cpus");
  const auto had = static_cast<unsigned>(
      std::clamp<std::int64_t>(cpus ? *cpus : 1, 1, static_cast<std::int64_t>(kMostCpus)));
  plan.cpus = std::min(had, std::max(1U, bounds.cpus));
}

// What a backup holds of a TPM is not given to it.
void tell_what_lacks(const repository::Manifest& manifest, Plan& plan) {
  const Json& about = member(manifest.document, "definition");
  const Json& tpm = member(about, "tpm");
  if (tpm.is_boolean() && tpm.get<bool>()) plan.notes.emplace_back("it has no TPM");
}

}  // namespace

Plan plan_machine(const repository::Manifest& manifest, const Json& definition, Bounds bounds) {
  Plan plan;
  const Json& machine = member(definition, "machine");
  const Words words = words_of(definition);
  if (!definition.is_object()) {
    plan.notes.emplace_back("what the machine was is not known: it is a plain one");
  } else if (words.empty()) {
    plan.notes.emplace_back("what the machine was started with is not known");
  }
  if (std::string type = type_of(machine); !type.empty()) plan.machine = std::move(type);
  if (std::string uuid = text_of(machine, "uuid"); is_uuid(uuid)) plan.uuid = std::move(uuid);
  plan.cpu = model_in(words);
  plan_size(machine, bounds, plan);
  plan_disks(manifest, words, plan);
  plan_controller(words, plan);
  plan_firmware(definition, plan);
  plan_kernel(definition, words, plan);
  tell_what_lacks(manifest, plan);
  for (std::string& note : plan.notes)
    note = base::printable(note, 4 * kLongestName);
  return plan;
}

}  // namespace holdfast::host::boot
