// SPDX-License-Identifier: MIT
#include "bridge/backup_xml.h"

#include <charconv>

#include "bridge/xml_reader.h"

namespace holdfast::host::libvirt {

using base::Error;
using base::ErrorCode;
using base::Result;

namespace {

// The <disk> elements of a document with this root.
Result<std::vector<xmlNodePtr>> disks_of(const XmlDocument& document, const char* name) {
  const xmlNode* const root = document ? xmlDocGetRootElement(document.get()) : nullptr;
  if (!is_element(root, name)) {
    return Error(ErrorCode::kProtocol, "libvirt's answer is no " + std::string(name));
  }
  std::vector<xmlNodePtr> disks;
  const xmlNode* const list = child_of(root, "disks");
  for (xmlNodePtr node = list == nullptr ? nullptr : list->children; node != nullptr;
       node = node->next) {
    if (is_element(node, "disk")) disks.push_back(node);
  }
  return disks;
}

std::optional<std::uint64_t> number(const std::string& text) {
  std::uint64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, problem] = std::from_chars(text.data(), end, value);
  if (problem != std::errc{} || rest != end) return std::nullopt;
  return value;
}

}  // namespace

std::string backup_xml(const std::vector<BackupTarget>& targets) {
  std::string xml = "<domainbackup mode='push'><disks>";
  for (const BackupTarget& target : targets) {
    xml += "<disk name='" + xml_escaped(target.disk) + "' backup='yes' type='file' ";
    xml += target.since.empty()
               ? "backupmode='full'"
               : "backupmode='incremental' incremental='" + xml_escaped(target.since) + "'";
    xml += "><driver type='qcow2'/><target file='" + xml_escaped(target.path) + "'/></disk>";
  }
  return xml + "</disks></domainbackup>";
}

Result<std::vector<std::string>> read_backup_targets(const std::string& xml) {
  const XmlDocument document = parse_xml(xml);
  const auto disks = disks_of(document, "domainbackup");
  if (!disks) return disks.error();
  std::vector<std::string> paths;
  for (const xmlNode* node : *disks) {
    std::string path = attribute_of(child_of(node, "target"), "file");
    if (!path.empty()) paths.push_back(std::move(path));
  }
  return paths;
}

std::string checkpoint_xml(const NewCheckpoint& checkpoint) {
  std::string xml = "<domaincheckpoint><name>" + xml_escaped(checkpoint.name) +
                    "</name><description>" + xml_escaped(checkpoint.description) +
                    "</description><disks>";
  for (const std::string& disk : checkpoint.disks)
    xml += "<disk name='" + xml_escaped(disk) + "' checkpoint='bitmap'/>";
  for (const std::string& disk : checkpoint.others)
    xml += "<disk name='" + xml_escaped(disk) + "' checkpoint='no'/>";
  return xml + "</disks></domaincheckpoint>";
}

Result<XmlCheckpoint> read_checkpoint(const std::string& xml) {
  const XmlDocument document = parse_xml(xml);
  const auto disks = disks_of(document, "domaincheckpoint");
  if (!disks) return disks.error();
  const xmlNode* const root = xmlDocGetRootElement(document.get());
  XmlCheckpoint checkpoint;
  checkpoint.name = content_of(child_of(root, "name"));
  checkpoint.description = content_of(child_of(root, "description"));
  for (const xmlNode* node : *disks) {
    if (attribute_of(node, "checkpoint") != "bitmap") continue;
    checkpoint.disks.push_back({attribute_of(node, "name"), number(attribute_of(node, "size"))});
  }
  return checkpoint;
}

Result<std::string> checkpoint_of_one_disk(const std::string& xml, const std::string& disk) {
  const XmlDocument document = parse_xml(xml);
  const auto disks = disks_of(document, "domaincheckpoint");
  if (!disks) return disks.error();
  for (xmlNodePtr node : *disks) {
    if (attribute_of(node, "name") == disk) continue;
    set_attribute(node, "checkpoint", "no");
    remove_attribute(node, "bitmap");
  }
  return xml_text(document);
}

}  // namespace holdfast::host::libvirt
