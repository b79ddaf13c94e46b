// SPDX-License-Identifier: MIT
#include "bridge/snapshot_xml.h"

#include "bridge/xml_reader.h"

namespace holdfast::host::libvirt {

std::string snapshot_xml(const std::vector<OverlayOf>& disks,
                         const std::vector<std::string>& others) {
  std::string xml = "<domainsnapshot><disks>";
  for (const OverlayOf& disk : disks) {
    xml += "<disk name='" + xml_escaped(disk.target) +
           "' snapshot='external' type='file'><driver type='qcow2'/><source file='" +
           xml_escaped(disk.path) + "'/></disk>";
  }
  for (const std::string& target : others) {
    xml += "<disk name='" + xml_escaped(target) + "' snapshot='no'/>";
  }
  return xml + "</disks></domainsnapshot>";
}

}  // namespace holdfast::host::libvirt
