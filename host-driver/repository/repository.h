// SPDX-License-Identifier: MIT
//
// A directory of backups. Ours is what carries our mark; anything else is refused, so that a typing
// error in a path never fills or reads somebody's home directory.
//
// Threads: one at a time; runs are kept apart by Lock. Errors: kRefused for a directory that is not
// ours, kNotFound, kCorrupt.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "repository/manifest.h"

namespace holdfast::host::repository {

// One published backup: where it lies, its manifest, and whether it stays whatever happens.
struct Backup {
  std::string directory;
  Manifest manifest;
  bool is_protected = false;
};

// What a listing shows of a directory that looks like a backup but whose manifest is of no use.
struct BadBackup {
  std::string vm;
  std::string id;
  base::Error problem;
};

struct Listing {
  std::vector<Backup> backups;  // oldest first within a machine
  std::vector<BadBackup> bad;
};

// Is there nothing in this directory that a new repository would not bear?
[[nodiscard]] bool may_become_one(const std::string& path);

class Repository {
 public:
  // One that exists.
  [[nodiscard]] static base::Result<Repository> open(const std::string& path);
  // The same, or a new one: an empty or missing directory gets our mark. See is_remembered().
  [[nodiscard]] static base::Result<Repository> open_or_create(const std::string& path);

  [[nodiscard]] const std::string& path() const { return path_; }
  // Eight hexadecimal digits that tell this repository from others: they stand in the names of the
  // dirty bitmaps whose increments go here.
  [[nodiscard]] const std::string& tag() const { return tag_; }
  // kNotFound if another directory has come into its place, such as the one that its filesystem
  // was mounted on: what was not found here since open() may be there all the same.
  [[nodiscard]] base::Result<void> still_there() const;
  // The machine's directory; made on request, as long as the repository is still there.
  [[nodiscard]] base::Result<std::string> vm_directory(const std::string& vm) const;
  [[nodiscard]] base::Result<std::string> make_vm_directory(const std::string& vm) const;

  [[nodiscard]] base::Result<std::vector<std::string>> vms() const;
  // A member of a group that is not bound is no backup, and not among them; see group.h.
  [[nodiscard]] base::Result<Listing> list(const std::string& vm) const;
  // By id, by the beginning of one if that is unique, or "latest".
  [[nodiscard]] base::Result<Backup> find(const std::string& vm, const std::string& id) const;
  // The file of a disk in a backup's directory: exists, is a regular file of the recorded size, is
  // no link.
  [[nodiscard]] static base::Result<std::string> disk_path(const std::string& directory,
                                                           const DiskEntry& disk);
  // The same of another file of the backup.
  [[nodiscard]] static base::Result<std::string> file_path(const std::string& directory,
                                                           const FileEntry& file);
  [[nodiscard]] static base::Result<std::string> archive_path(const std::string& directory,
                                                              const ArchiveEntry& archive);
  // Takes the name of a backup from it, for good, and then removes it: whatever happens in between,
  // there is never half a backup. kLocked if somebody is reading it (Use). Only under the machine's
  // lock; does not look at what stands on it.
  [[nodiscard]] base::Result<void> remove_backup(const std::string& vm,
                                                 const std::string& id) const;
  // Removes what earlier runs left unpublished or half removed; the names. Only under the machine's
  // lock.
  [[nodiscard]] base::Result<std::vector<std::string>> remove_incomplete(
      const std::string& vm) const;

 private:
  Repository(std::string path, std::string tag) : path_(std::move(path)), tag_(std::move(tag)) {}

  [[nodiscard]] base::Result<Backup> load(const std::string& vm, const std::string& id) const;
  [[nodiscard]] bool is_unbound(const std::string& vm_directory, const std::string& id) const;

  std::string path_;
  std::string tag_;
};

}  // namespace holdfast::host::repository
