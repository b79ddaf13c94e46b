// SPDX-License-Identifier: MIT
//
// What a freeze stops, what it cannot stop, and what it would hang on.
#include <algorithm>
#include <array>
#include <map>

#include "base/text.h"
#include "doctor/check.h"

namespace holdfast::doctor {

namespace {

constexpr std::array kNetwork{"nfs", "nfs4",     "cifs", "smb3",  "smbfs",    "ceph",
                              "9p",  "virtiofs", "afs",  "ncpfs", "glusterfs"};
constexpr std::size_t kManyMounts = 200;

bool is_network(const std::string& type) {
  return std::find(kNetwork.begin(), kNetwork.end(), type) != kNetwork.end();
}

// Filesystems in user space that store nothing.
bool is_idle_fuse(const std::string& type) {
  return type == "fusectl" || type == "fuse.lxcfs" || type == "fuse.portal" ||
         type == "fuse.gvfsd-fuse" || type == "fuse.snapfuse";
}

class FilesystemsCheck final : public Check {
 public:
  [[nodiscard]] std::string_view family() const override { return "filesystems"; }

  [[nodiscard]] Findings run(const Patient& patient) const override {
    Findings findings;
    const MountTable& table = patient.mounts;
    if (!table.known()) {
      findings.push_back(
          {Level::kUnknown, "mounts", "the mount table could not be read", "run this as root"});
      return findings;
    }
    if (table.frozen().empty()) {
      findings.push_back(
          {Level::kProblem, "nothing-freezable",
           "no filesystem here can be frozen: the guest agent says that all went well, and never "
           "tells its hook to thaw",
           "do not let the host freeze this machine; data on ZFS or on the network needs its own "
           "snapshots"});
    } else {
      std::string list;
      for (const std::string& point : table.frozen())
        list += (list.empty() ? "" : ", ") + point;
      findings.push_back({Level::kOk, "freezable", "a freeze stops " + list});
    }
    look_at_loops(patient, findings);
    look_at_others(table, findings);
    look_at_repeats(table, findings);
    look_at_swap(patient, findings);
    look_at_our_paths(table, findings);
    return findings;
  }

 private:
  // Frozen while its backing file's filesystem is frozen, or the other way round: whichever the
  // agent meets second waits for the first.
  static void look_at_loops(const Patient& patient, Findings& findings) {
    for (const MountedAt& mount : patient.mounts.mounts()) {
      constexpr std::string_view kLoop = "/dev/loop";
      if (!mount.source.starts_with(kLoop) || !mount.writable) continue;
      const std::string name = mount.source.substr(5);
      const auto backing = patient.world.read("/sys/block/" + name + "/loop/backing_file");
      if (!backing) {
        findings.push_back({Level::kUnknown, "loop",
                            "'" + mount.mount_point + "' lies on the loop device '" + mount.source +
                                "', of which the image is not known"});
        continue;
      }
      const std::string image(base::trimmed(*backing));
      const MountedAt* under = patient.mounts.holding(image);
      if (under == nullptr || !under->freezable) continue;
      findings.push_back(
          {Level::kProblem, "loop",
           "'" + mount.mount_point + "' is an image ('" + image + "') on '" + under->mount_point +
               "', which is frozen too: the freeze can hang for ever",
           "umount " + mount.mount_point + ", mount it read-only, or give it a disk of its own"});
    }
  }

  static void look_at_others(const MountTable& table, Findings& findings) {
    for (const MountedAt& mount : table.mounts()) {
      const std::string at = "'" + mount.mount_point + "' (" + mount.type + ")";
      if (is_network(mount.type)) {
        findings.push_back({Level::kWarning, "network",
                            at + " is on the network: it is not frozen, "
                                 "and is in no snapshot of this machine",
                            "keep no database on it that a snapshot is to hold"});
      } else if (mount.type.starts_with("fuse") && mount.type != "fuseblk" &&
                 !is_idle_fuse(mount.type)) {
        findings.push_back({Level::kWarning, "fuse",
                            at + " is served by a program: it is not frozen, and hangs while what "
                                 "that program writes to is",
                            "keep no database on it that a snapshot is to hold"});
      } else if (mount.type == "fuseblk") {
        findings.push_back({Level::kWarning, "fuse", at + " is served by a program, and not frozen",
                            "a filesystem of the kernel can be frozen"});
      } else if (mount.type == "zfs") {
        findings.push_back({Level::kWarning, "zfs",
                            at + " cannot be frozen: a snapshot of the disk finds it as a power "
                                 "cut does",
                            "ZFS recovers from that; take its own snapshots where that is not "
                            "enough"});
      } else if (mount.type == "overlay" && mount.mount_point == "/") {
        findings.push_back({Level::kWarning, "overlay",
                            at + " cannot be frozen by itself; what it writes to can",
                            "see that its upper directory is on one of the frozen filesystems"});
      }
    }
  }

  // Bind mounts are fine (the second freeze of a filesystem is taken for done), but each costs.
  static void look_at_repeats(const MountTable& table, Findings& findings) {
    std::map<std::string, std::size_t> mounts;
    for (const MountedAt& mount : table.mounts()) {
      if (mount.freezable) ++mounts[mount.device];
    }
    for (const auto& [device, count] : mounts) {
      if (count < kManyMounts) continue;
      findings.push_back({Level::kWarning, "many-mounts",
                          "the filesystem " + device + " is mounted " + std::to_string(count) +
                              " times: the guest agent freezes it at each of these places",
                          "look for jails and bind mounts that are not needed"});
    }
  }

  static void look_at_swap(const Patient& patient, Findings& findings) {
    const std::string text = patient.world.read("/proc/swaps").value_or("");
    std::string_view rest(text);
    while (!rest.empty()) {
      const std::string_view line = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(line.size() + 1, rest.size()));
      const std::string path(line.substr(0, line.find_first_of(" \t")));
      if (!path.starts_with('/') || path.starts_with("/dev/")) continue;
      // The kernel writes it past the filesystem (mm/page_io.c), so that a freeze stops nobody.
      findings.push_back({Level::kOk, "swap-file",
                          "the swap file '" + path +
                              "' goes on being written while frozen, and "
                              "adds to every increment"});
    }
  }

  static void look_at_our_paths(const MountTable& table, Findings& findings) {
    if (const MountedAt* run = table.holding("/run/holdfast"); run != nullptr && run->freezable) {
      findings.push_back({Level::kProblem, "run-directory",
                          "/run/holdfast lies on '" + run->mount_point +
                              "', which is frozen: the service would hang",
                          "/run has to be a tmpfs"});
    }
    const MountedAt* state = table.holding("/var/lib/holdfast");
    if (state != nullptr && !state->freezable) {
      findings.push_back({Level::kWarning, "state-directory",
                          "/var/lib/holdfast lies on '" + state->mount_point + "' (" + state->type +
                              "), which is in no snapshot of this machine's disks",
                          "the freeze record belongs on a disk: restored copies lack it"});
    }
  }
};

}  // namespace

std::unique_ptr<Check> make_filesystems_check() {
  return std::make_unique<FilesystemsCheck>();
}

}  // namespace holdfast::doctor
