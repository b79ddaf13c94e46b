// SPDX-License-Identifier: MIT
#include "bridge/domain_xml.h"

#include <string_view>

#include "base/text.h"
#include "bridge/xml_reader.h"

namespace holdfast::host::libvirt {

using base::Error;
using base::ErrorCode;
using base::Result;

namespace {

constexpr std::size_t kDeepestChain = 32;

std::string in_quotes(const std::string& text) {
  return "'" + base::printable(text, 200) + "'";
}

// One image; `holder` is <disk> or <backingStore>. What is wrong with it, or nothing.
std::string read_layer(const xmlNode* holder, const std::string& format, XmlDisk& disk) {
  const std::string type = attribute_of(holder, "type");
  const xmlNode* const source = child_of(holder, "source");
  if (type != "file") {
    return "its source is of type " + in_quotes(type) + ", and only files can be backed up";
  }
  for (const char* part : {"encryption", "slices", "reservations", "cookies"}) {
    if (child_of(source, part) != nullptr || child_of(holder, part) != nullptr) {
      return "its source has " + in_quotes(part);
    }
  }
  const std::string path = attribute_of(source, "file");
  if (!path.starts_with('/')) return "its source " + in_quotes(path) + " is no absolute path";
  if (format.empty()) return "its format is not given";
  if (format != "raw" && format != "qcow2") {
    return "its format " + in_quotes(format) + " is neither raw nor qcow2";
  }
  disk.chain.push_back({path, format});
  return {};
}

std::string read_chain(const xmlNode* disk_node, XmlDisk& disk) {
  const xmlNode* holder = disk_node;
  std::string format = attribute_of(child_of(disk_node, "driver"), "type");
  while (disk.chain.size() < kDeepestChain) {
    if (std::string problem = read_layer(holder, format, disk); !problem.empty()) return problem;
    const xmlNode* const below = child_of(holder, "backingStore");
    if (below == nullptr && format == "qcow2") {
      return "libvirt does not say what is below " + in_quotes(disk.chain.back().path);
    }
    // An empty element: the chain ends here.
    if (below == nullptr || child_of(below, "source") == nullptr) return {};
    holder = below;
    format = attribute_of(child_of(holder, "format"), "type");
  }
  return "its chain is longer than " + std::to_string(kDeepestChain) + " images";
}

std::string reason_to_skip(const xmlNode* node) {
  const std::string device = attribute_of(node, "device");
  if (device == "cdrom" || device == "floppy") return "removable";
  if (child_of(node, "readonly") != nullptr) return "read-only";
  if (child_of(node, "transient") != nullptr) return "transient";
  if (child_of(node, "source") == nullptr) return "empty";
  return {};
}

// On by default where there is one; of SCSI disks the controller has it.
bool has_ioeventfd(const xmlNode* disk, const std::string& bus) {
  const auto not_off = [](const xmlNode* device) {
    return attribute_of(child_of(device, "driver"), "ioeventfd") != "off";
  };
  if (bus == "virtio") return not_off(disk);
  if (bus != "scsi") return false;
  const std::string index = attribute_of(child_of(disk, "address"), "controller");
  for (const xmlNode* node = disk->parent->children; node != nullptr; node = node->next) {
    if (!is_element(node, "controller") || attribute_of(node, "type") != "scsi") continue;
    if (attribute_of(node, "index") != index) continue;
    return attribute_of(node, "model").starts_with("virtio") && not_off(node);
  }
  return false;
}

XmlDisk read_disk(const xmlNode* node) {
  XmlDisk disk;
  disk.bus = attribute_of(child_of(node, "target"), "bus");
  disk.ioeventfd = has_ioeventfd(node, disk.bus);
  disk.target = attribute_of(child_of(node, "target"), "dev");
  disk.alias = attribute_of(child_of(node, "alias"), "name");
  disk.cache = attribute_of(child_of(node, "driver"), "cache");
  const xmlNode* const mirror = child_of(node, "mirror");
  disk.job = attribute_of(mirror, "job");
  if (mirror != nullptr && disk.job.empty()) disk.job = "copy";
  disk.job_ready = attribute_of(mirror, "ready") == "yes";
  disk.skip = reason_to_skip(node);
  if (!disk.skip.empty()) return disk;
  if (child_of(node, "shareable") != nullptr) {
    disk.problem = "it is shared with other machines";
    return disk;
  }
  disk.problem = read_chain(node, disk);
  return disk;
}

// <nvram>PATH</nvram>, or <nvram type='file'><source file='PATH'/></nvram>, as a disk has it.
void read_nvram(const xmlNode* node, XmlDomain& domain) {
  if (node == nullptr) return;
  const std::string type = attribute_of(node, "type");
  const std::string format = attribute_of(node, "format");
  if (!type.empty() && type != "file") {
    domain.nvram_problem =
        "their source is of type " + in_quotes(type) + ", and only a file can be copied";
  } else if (!format.empty() && format != "raw") {
    // QEMU keeps such an image's tables in memory: a copy of the file would lack what they say.
    domain.nvram_problem = "their format is " + in_quotes(format) +
                           ", and only raw can be copied from a machine "
                           "that runs";
  } else {
    const xmlNode* const source = child_of(node, "source");
    domain.nvram = source == nullptr ? content_of(node) : attribute_of(source, "file");
  }
}

std::optional<XmlTpm> read_tpm(const xmlNode* node) {
  const xmlNode* const backend = child_of(node, "backend");
  if (backend == nullptr) return std::nullopt;
  XmlTpm tpm;
  tpm.backend = attribute_of(backend, "type");
  const xmlNode* const source = child_of(backend, "source");
  const std::string kind = attribute_of(source, "type");
  if (kind == "dir") tpm.directory = attribute_of(source, "path");
  if (kind == "file") tpm.file = attribute_of(source, "path");
  tpm.encrypted = child_of(backend, "encryption") != nullptr;
  return tpm;
}

// Libvirt knows when the guest has opened the port.
std::string agent_at(const xmlNode* channel) {
  const xmlNode* const target = child_of(channel, "target");
  if (attribute_of(target, "name") != "org.qemu.guest_agent.0") return {};
  const std::string state = attribute_of(target, "state");
  return state.empty() ? "there" : state;
}

}  // namespace

Result<XmlDomain> read_domain_xml(const std::string& xml) {
  const XmlDocument document = parse_xml(xml);
  const xmlNode* const root = document ? xmlDocGetRootElement(document.get()) : nullptr;
  if (root == nullptr || !is_element(root, "domain")) {
    return Error(ErrorCode::kProtocol, "the definition is no domain");
  }
  XmlDomain domain;
  read_nvram(child_of(child_of(root, "os"), "nvram"), domain);
  const xmlNode* const devices = child_of(root, "devices");
  if (devices == nullptr) return domain;
  for (const xmlNode* node = devices->children; node != nullptr; node = node->next) {
    if (is_element(node, "channel")) {
      if (std::string agent = agent_at(node); !agent.empty()) domain.agent = std::move(agent);
    }
    // Of several the one with a state: on POWER a second is a door to the host's.
    if (is_element(node, "tpm") && (!domain.tpm || domain.tpm->backend != "emulator")) {
      if (auto tpm = read_tpm(node)) domain.tpm = std::move(tpm);
    }
    if (!is_element(node, "disk")) continue;
    XmlDisk disk = read_disk(node);
    if (disk.target.empty()) return Error(ErrorCode::kProtocol, "a disk without a target");
    domain.disks.push_back(std::move(disk));
  }
  return domain;
}

}  // namespace holdfast::host::libvirt
