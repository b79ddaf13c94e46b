// SPDX-License-Identifier: MIT
//
// Control panels that mount things a freeze hangs on: the reports of freezes that never came back
// are mostly theirs.
#include <algorithm>

#include "doctor/check.h"

namespace holdfast::doctor {

namespace {

class HostingCheck final : public Check {
 public:
  [[nodiscard]] std::string_view family() const override { return "hosting"; }

  [[nodiscard]] Findings run(const Patient& patient) const override {
    Findings findings;
    const World& world = patient.world;
    if (world.exists("/usr/tmpDSK") || world.exists("/var/tmpDSK")) {
      findings.push_back({Level::kWarning, "securetmp",
                          "cPanel's securetmp mounts /tmp from an image file: freezes have hung "
                          "on that",
                          "run /usr/local/cpanel/scripts/securetmp with its loop mount disabled, "
                          "and give /tmp a tmpfs or a disk"});
    }
    if (world.exists("/etc/cloudlinux-release") || world.exists("/proc/lve/list") ||
        world.exists("/usr/share/cagefs-skeleton")) {
      findings.push_back(
          {Level::kWarning, "cloudlinux",
           "CloudLinux is here: freezes have hung on its cages and limits",
           "try a freeze from the host at a quiet hour, with someone at the console"});
    }
    const auto& mounts = patient.mounts.mounts();
    if (std::any_of(mounts.begin(), mounts.end(), [](const MountedAt& mount) {
          return mount.mount_point.starts_with("/home/virtfs/");
        })) {
      findings.push_back({Level::kWarning, "virtfs",
                          "cPanel's jails are mounted below /home/virtfs",
                          "/usr/local/cpanel/scripts/clear_orphaned_virtfs_mounts"});
    }
    if (findings.empty()) {
      findings.push_back(
          {Level::kOk, "hosting", "no control panel that freezes are known to hang on"});
    }
    return findings;
  }
};

}  // namespace

std::unique_ptr<Check> make_hosting_check() {
  return std::make_unique<HostingCheck>();
}

}  // namespace holdfast::doctor
