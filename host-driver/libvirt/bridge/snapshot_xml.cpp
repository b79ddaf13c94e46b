// SPDX-License-Identifier: MIT
#include "bridge/snapshot_xml.h"

namespace holdfast::host::libvirt {

namespace {

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '\'':
        out += "&apos;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

}  // namespace

std::string snapshot_xml(const std::vector<OverlayOf>& disks,
                         const std::vector<std::string>& others) {
  std::string xml = "<domainsnapshot><disks>";
  for (const OverlayOf& disk : disks) {
    xml += "<disk name='" + escaped(disk.target) +
           "' snapshot='external' type='file'><driver type='qcow2'/><source file='" +
           escaped(disk.path) + "'/></disk>";
  }
  for (const std::string& target : others) {
    xml += "<disk name='" + escaped(target) + "' snapshot='no'/>";
  }
  return xml + "</disks></domainsnapshot>";
}

}  // namespace holdfast::host::libvirt
