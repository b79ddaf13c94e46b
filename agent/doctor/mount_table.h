// SPDX-License-Identifier: MIT
//
// The filesystems that the guest agent sees (it may have a mount namespace of its own), and which
// of them a freeze stops.
#pragma once

#include <string>
#include <vector>

#include "doctor/world.h"

namespace holdfast::doctor {

struct MountedAt {
  std::string device;
  std::string mount_point;
  std::string type;
  std::string source;
  bool writable = false;
  // Does a freeze stop it?
  bool freezable = false;
};

class MountTable {
 public:
  // Of this process, or of ours if there is none or its table may not be read.
  [[nodiscard]] static MountTable of(const World& world, int pid);

  [[nodiscard]] bool known() const { return known_; }
  [[nodiscard]] const std::vector<MountedAt>& mounts() const { return mounts_; }
  // One mount point for each filesystem that is frozen.
  [[nodiscard]] const std::vector<std::string>& frozen() const { return frozen_; }
  // The mount that this absolute path lies on; none if the table is not known. Borrowed.
  [[nodiscard]] const MountedAt* holding(const std::string& path) const;

 private:
  bool known_ = false;
  std::vector<MountedAt> mounts_;
  std::vector<std::string> frozen_;
};

}  // namespace holdfast::doctor
