// SPDX-License-Identifier: MIT
//
// Where the backups go: is it ours, may we, is there room, and is it a place to keep them.
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/text.h"
#include "doctor/doctor.h"
#include "repository/chain.h"
#include "repository/overview.h"
#include "repository/paths.h"
#include "repository/remembered.h"
#include "repository/repository.h"
#include "run/parent.h"
#include "snapshot/room.h"

namespace holdfast::host::doctor {

using base::ErrorCode;
using repository::Repository;

namespace {

constexpr const char* kArea = "repository";
// <linux/magic.h> lacks it: FAT knows neither modes nor files beyond 4 GiB.
constexpr long kExfatMagic = 0x2011BAB0;

// The path itself, or the nearest parent that exists.
std::string existing(std::string path) {
  struct stat status {};
  while (path != "/" && ::stat(path.c_str(), &status) != 0) {
    const std::size_t slash = path.rfind('/');
    path = slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
  }
  return path;
}

std::string quoted(const std::string& path) {
  return "'" + base::printable(path) + "'";
}

void look_at_filesystem(const std::string& path, Findings& findings) {
  struct statfs status {};
  if (::statfs(path.c_str(), &status) != 0) return;
  const auto type = static_cast<long>(status.f_type);
  if ((status.f_flags & ST_RDONLY) != 0) {
    findings.push_back({Level::kProblem, kArea, "read-only",
                        "the filesystem of " + quoted(path) + " is read-only",
                        "mount it read-write"});
  }
  if (type == TMPFS_MAGIC || type == RAMFS_MAGIC) {
    findings.push_back({Level::kWarning, kArea, "in-memory",
                        quoted(path) + " is in memory: the backups are gone after a restart",
                        "name a directory on a disk"});
  }
  if (type == MSDOS_SUPER_MAGIC || type == kExfatMagic) {
    findings.push_back({Level::kProblem, kArea, "fat",
                        quoted(path) + " is on a FAT filesystem: no modes, no large files",
                        "use ext4, XFS or btrfs"});
  }
  if (type == NFS_SUPER_MAGIC || type == CIFS_SUPER_MAGIC) {
    findings.push_back({Level::kWarning, kArea, "network",
                        quoted(path) + " is on a network filesystem: when it hangs, so does the "
                                       "copy (the guest does not)",
                        "mount it with a time-out (NFS: soft), and watch the age of the backups"});
  }
}

// One broken disk would take the machine and its backups.
void look_at_neighbours(const std::string& path, const Patient& patient, Findings& findings) {
  struct stat here {};
  if (!patient.disks || ::stat(path.c_str(), &here) != 0) return;
  for (const qmp::Disk& disk : patient.disks->disks) {
    struct stat image {};
    if (::stat(disk.chain.front().path.c_str(), &image) != 0) continue;
    if (!S_ISREG(image.st_mode) || image.st_dev != here.st_dev) continue;
    findings.push_back({Level::kWarning, kArea, "same-filesystem",
                        "the repository is on the same filesystem as the disk '" + disk.name +
                            "': what breaks one takes the other",
                        "keep the repository on another disk, or copy it away"});
    return;
  }
}

// What the next run is to copy, as far as that can be said of now.
struct Need {
  std::uint64_t next = 0;
  std::uint64_t full = 0;
  bool increment = false;  // of every disk
};

Need need_of(const Patient& patient, const Repository* repository) {
  snapshot::Parent parent;
  parent.problem = "there is no backup yet";
  if (repository != nullptr) {
    const auto latest = repository->find(patient.settings.vm, "latest");
    if (latest) parent = run::parent_in(patient.settings, *repository, *latest);
  }
  Need need{.increment = true};
  for (const qmp::Disk& disk : patient.disks->disks) {
    const snapshot::DiskPlan plan =
        snapshot::plan_disk(disk, parent, repository != nullptr ? repository->tag() : "");
    need.full += disk.actual_size;
    need.next += snapshot::data_to_copy(disk, plan);
    need.increment = need.increment && plan.increment();
  }
  return need;
}

void look_at_space(const std::string& path, const Patient& patient, const Repository* repository,
                   Findings& findings) {
  const auto free = repository::free_space(path);
  if (!free) {
    findings.push_back(problem(kArea, "space", free.error(), "is its filesystem there?"));
    return;
  }
  if (!patient.disks) {
    findings.push_back({Level::kUnknown, kArea, "space",
                        base::format_bytes(*free) + " free; how much is needed is not known"});
    return;
  }
  const Need need = need_of(patient, repository);
  const std::uint64_t one = need.full;
  std::string text =
      base::format_bytes(*free) + " free, a full backup takes up to " + base::format_bytes(one);
  if (need.increment) {
    text += ", the next one, an increment, now " + base::format_bytes(need.next);
  }
  if (*free < need.next) {
    findings.push_back(
        {Level::kProblem, kArea, "no-space", text, "free some space, or name another repository"});
  } else if (*free < one) {
    findings.push_back({Level::kWarning, kArea, "no-space-for-full",
                        text + ": there is no room for the next full one",
                        "free some space before 'full-every' or a lost bitmap asks for it"});
  } else if (*free < 2 * one) {
    // The old one goes after the new one is there.
    findings.push_back({Level::kWarning, kArea, "little-space", text + ": there is no room for two",
                        "retention removes the old one only after the new one is published"});
  } else {
    findings.push_back({Level::kOk, kArea, "space", text});
  }
}

void look_inside(const Repository& repository, const Patient& patient, Findings& findings) {
  const std::string& vm = patient.settings.vm;
  struct stat status {};
  if (::stat(repository.path().c_str(), &status) == 0 && (status.st_mode & 077) != 0) {
    findings.push_back({Level::kWarning, kArea, "open-to-others",
                        quoted(repository.path()) + " may be entered by others than its owner",
                        "chmod go= " + base::printable(repository.path())});
  }
  if (!repository.vm_directory(vm)) {
    findings.push_back({Level::kOk, kArea, "no-backups", "there is no backup of this machine yet"});
    return;
  }
  // As a listing finds them, without its shortcut: this is to find what is wrong.
  const auto listing = repository::overview(repository, vm, repository::Source::kManifests);
  if (!listing) {
    findings.push_back(problem(kArea, "listing", listing.error(), "is its filesystem sound?"));
    return;
  }
  for (const repository::BadBackup& bad : listing->bad) {
    findings.push_back({Level::kWarning, kArea, "unusable-backup",
                        bad.id + " is of no use: " + bad.problem.text(),
                        "retention removes nothing older: repair it or move it away"});
  }
  std::size_t broken = 0;
  for (const auto& length : repository::chain_lengths(listing->backups)) {
    if (!length) ++broken;
  }
  if (broken > 0) {
    findings.push_back({Level::kWarning, kArea, "broken-chains",
                        std::to_string(broken) + " backups stand on one that is missing",
                        "holdfast list " + vm});
  }
  findings.push_back(
      {Level::kOk, kArea, "backups",
       std::to_string(listing->backups.size()) + " backups" +
           (listing->backups.empty() ? "" : ", the last of " + listing->backups.back().begin)});
}

}  // namespace

Findings check_repository(const Patient& patient) {
  const std::string& path = patient.settings.repository;
  if (path.empty()) return {};
  Findings findings;
  const std::string there = existing(path);
  const auto repository = Repository::open(path);
  if (!repository && repository::is_remembered(patient.settings.state_directory, path)) {
    return {
        problem(kArea, "gone", repository::gone(path, repository.error()), "mount its filesystem")};
  }
  if (repository) {
    look_inside(*repository, patient, findings);
  } else if (repository.error().code() == ErrorCode::kRefused) {
    // An empty directory becomes one.
    if (::access(path.c_str(), R_OK) == 0 && !repository::may_become_one(path)) {
      return {problem(kArea, "not-a-repository", repository.error(), "name another directory")};
    }
    findings.push_back({Level::kOk, kArea, "new", quoted(path) + " will be made a repository"});
  } else if (repository.error().code() == ErrorCode::kNotFound) {
    findings.push_back({Level::kOk, kArea, "new", quoted(path) + " will be made"});
  } else {
    return {problem(kArea, "unusable", repository.error(),
                    "name another directory, or look at its permissions")};
  }
  if (::access(there.c_str(), W_OK) != 0) {
    findings.push_back({Level::kProblem, kArea, "not-writable",
                        "unable to write to " + quoted(there) + ": " + std::strerror(errno),
                        "run this as root, or as a user who may write there"});
  }
  look_at_filesystem(there, findings);
  look_at_neighbours(there, patient, findings);
  look_at_space(there, patient, repository ? &*repository : nullptr, findings);
  return findings;
}

}  // namespace holdfast::host::doctor
