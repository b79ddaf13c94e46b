// SPDX-License-Identifier: MIT
//
// The logical volumes of this host as lvs(8) reports them, and the commands that make and remove a
// snapshot of one. What lvs says is looked at before any of it becomes a word of a command: names
// are LVM's own alphabet and never begin like an option.
//
// Threads: plain values and functions. Errors: kCorrupt for a report that is none.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace holdfast::host::snapshot {

struct Volume {
  std::string group;
  std::string name;
  std::string attributes;  // lv_attr, lvs(8): the first letter is the kind
  std::string origin;      // of a snapshot
  std::string pool;
  // Not of one that is not active.
  std::optional<std::uint64_t> device;  // as st_rdev
  std::uint64_t size = 0;
  std::uint64_t group_free = 0;
  // Of snapshots and pools, in percent.
  std::optional<double> data_used;
  std::optional<double> metadata_used;
  bool invalid = false;
  std::string health;  // empty if there is nothing to say

  // "vg0/images"
  [[nodiscard]] std::string full_name() const { return group + "/" + name; }
  [[nodiscard]] bool is_thin() const { return attributes.starts_with('V'); }
  // One whose changes stand in a volume of a size of its own.
  [[nodiscard]] bool is_thick_snapshot() const {
    return attributes.starts_with('s') || attributes.starts_with('S');
  }
  // Has it no room any more?
  [[nodiscard]] bool is_full() const;
};

// All of them, or those of one group.
[[nodiscard]] std::vector<std::string> list_command(const std::string& group = {});
[[nodiscard]] base::Result<std::vector<Volume>> parse_volumes(std::string_view report);

// "vg0/images"; nullptr if there is none.
[[nodiscard]] const Volume* find_volume(const std::vector<Volume>& volumes,
                                        std::string_view full_name);

// How much a snapshot may take up: of the volume's size, but no less than it takes to be of use.
[[nodiscard]] std::uint64_t snapshot_size(const Volume& origin, int percent);

// Read-only and active. Both commands end in their own time, whatever becomes of their parent.
[[nodiscard]] std::vector<std::string> create_command(const Volume& origin, const std::string& name,
                                                      std::uint64_t size);
[[nodiscard]] std::vector<std::string> remove_command(const std::string& full_name);

// May it be the name of a group or a volume? And the two of a device of the device mapper, which
// has no more than 127 characters, and every hyphen twice?
[[nodiscard]] bool is_volume_name(std::string_view name);
[[nodiscard]] bool fits_device_mapper(std::string_view group, std::string_view name);

}  // namespace holdfast::host::snapshot
