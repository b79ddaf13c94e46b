// SPDX-License-Identifier: MIT
//
// What virDomainSnapshotCreateXML is told. A pure function: paths are data in it, whatever stands
// in them.
#pragma once

#include <string>
#include <vector>

namespace holdfast::host::libvirt {

struct OverlayOf {
  std::string target;  // "vda"
  std::string path;    // of the overlay, which exists
};

// `others` are all other disks of the domain: libvirt would take a disk that is not named as well.
[[nodiscard]] std::string snapshot_xml(const std::vector<OverlayOf>& disks,
                                       const std::vector<std::string>& others);

}  // namespace holdfast::host::libvirt
