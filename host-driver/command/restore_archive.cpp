// SPDX-License-Identifier: MIT
#include "command/restore_archive.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <iostream>

#include "base/text.h"
#include "command/backup_check.h"
#include "command/commands.h"
#include "command/fresh_files.h"
#include "command/partial_file.h"
#include "command/watcher.h"
#include "container/archive.h"
#include "repository/paths.h"
#include "run/running_restore.h"
#include "snapshot/btrfs/subvolume.h"
#include "ui/progress_bar.h"

namespace holdfast::host::command {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Json;
using base::ProcessRunner;
using base::Result;

namespace {

// A new directory for a tree, which goes again unless it is kept.
class FreshTree {
 public:
  static Result<FreshTree> make(const std::string& path, ProcessRunner& processes,
                                Deadline deadline) {
    if (snapshot::is_on_btrfs(base::directory_of(path)) && snapshot::may_administer()) {
      const auto outcome =
          processes.run({.argv = {"btrfs", "subvolume", "create", path}, .deadline = deadline});
      if (!outcome.succeeded()) return outcome.as_error("btrfs");
      FreshTree tree(path, processes);
      if (::chmod(path.c_str(), 0700) == 0) return tree;
      return base::errno_error(errno, "unable to use '" + base::printable(path) + "'");
    }
    if (::mkdir(path.c_str(), 0700) == 0) return FreshTree(path, processes);
    return base::errno_error(errno, "unable to make '" + base::printable(path) + "'");
  }
  FreshTree(FreshTree&& other) noexcept
      : path_(std::exchange(other.path_, {})), processes_(other.processes_) {}
  FreshTree& operator=(FreshTree&&) = delete;
  ~FreshTree() {
    if (path_.empty()) return;
    if (snapshot::is_subvolume(path_)) {
      (void)snapshot::delete_subvolume(processes_, path_, Deadline::in(std::chrono::minutes(5)));
      return;
    }
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  // On disk, and then named. Whoever made something under that name meanwhile keeps it.
  Result<void> keep_as(const std::string& target, Deadline deadline) {
    const auto outcome =
        processes_.run({.argv = {"sync", "--file-system", path_}, .deadline = deadline});
    if (!outcome.succeeded()) return outcome.as_error("sync");
    if (::renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, target.c_str(), RENAME_NOREPLACE) != 0) {
      return base::errno_error(errno, "unable to make '" + base::printable(target) + "'");
    }
    path_.clear();
    return repository::flush_directory(base::directory_of(target));
  }

 private:
  FreshTree(std::string path, ProcessRunner& processes)
      : path_(std::move(path)), processes_(processes) {}

  std::string path_;
  ProcessRunner& processes_;
};

// Nothing keeps its users from what is set-user-ID in there, or from devices, which are this
// host's.
bool others_may_enter(const std::string& path) {
  std::error_code problem;
  for (auto place = std::filesystem::absolute(path, problem); !problem;
       place = place.parent_path()) {
    struct stat status {};
    if (::stat(place.c_str(), &status) != 0 || (status.st_mode & S_IXOTH) == 0) return false;
    if (place == place.parent_path()) return true;
  }
  return false;
}

}  // namespace

Result<Json> restore_archive(const ChosenBackup& chosen, const Invocation& invocation,
                             Environment& environment) {
  const repository::Backup& backup = chosen.backup;
  const std::string& vm = backup.manifest.vm;
  const std::string& target = invocation.to;
  if (auto absent = require_absent(target); !absent) return std::move(absent).error();
  image::QemuImg images(environment.processes, chosen.settings.qemu_img);
  BackupCheck check(chosen.repository, images, chosen.settings.copy_timeout, environment.stop);
  ui::ProgressBar bar(!invocation.quiet && ui::terminal_attached());
  const auto sound = check.check_archive(
      backup, [&](double percent) { bar.update(vm + ": verifying the archive", percent); });
  if (!sound) return sound.error();
  auto above = FreshFiles::in(base::directory_of(target));
  if (!above) return std::move(above).error();
  const Deadline deadline = Deadline::in(chosen.settings.copy_timeout);
  auto tree = FreshTree::make(PartialFile::path_of(target), environment.processes, deadline);
  if (!tree) return std::move(tree).error();
  bar.update(vm + ": unpacking", 0);
  container::Archiver archiver(environment.processes, deadline, environment.stop);
  auto unpacked = archiver.unpack(*sound, backup.manifest.archive->compression,
                                  PartialFile::path_of(target), {});
  bar.clear();
  if (!unpacked) return base::wrap(std::move(unpacked).error(), "unable to unpack the archive");
  if (auto kept = tree->keep_as(target, deadline); !kept) return std::move(kept).error();
  above->keep();
  if (others_may_enter(target)) {
    say("every user of this host may enter " + base::in_quotes(target) +
        ", and use what devices and set-user-ID programs are in it: close a directory above it");
  }
  Json all{{"vm", vm}, {"id", backup.manifest.id}, {"directory", target}};
  if (!invocation.json && !invocation.quiet) {
    std::cout << vm << ": " << backup.manifest.id << ": restored to '" << base::printable(target)
              << "'; for one of systemd-nspawn, to start it:\n  systemd-nspawn --boot --directory="
              << base::printable(target) << std::endl;
  }
  return all;
}

Result<Json> restore_into_running(const ChosenBackup& chosen, const Invocation& invocation,
                                  Environment& environment) {
  const repository::Backup& backup = chosen.backup;
  const std::string& vm = backup.manifest.vm;
  if (!backup.manifest.archive || chosen.settings.container.empty()) {
    return Error(
        ErrorCode::kUnsupported,
        "--into-running is for a container: backup '" + backup.manifest.id + "' is " +
            (backup.manifest.archive ? "one, 'container' is not configured" : "that of a machine"));
  }
  image::QemuImg images(environment.processes, chosen.settings.qemu_img);
  BackupCheck check(chosen.repository, images, chosen.settings.copy_timeout, environment.stop);
  Watcher watcher(vm, invocation.quiet);
  const auto sound = check.check_archive(
      backup, [&](double percent) { watcher.progress("verifying the archive", percent); });
  if (!sound) return sound.error();
  run::RunningRestore restore({.settings = chosen.settings,
                               .archive = *sound,
                               .compression = backup.manifest.archive->compression,
                               .paths = invocation.paths},
                              environment.processes, watcher, environment.stop);
  auto restored = restore.run();
  watcher.end();
  if (!restored) return std::move(restored).error();
  Json all{{"vm", vm}, {"id", backup.manifest.id}, {"restored", Json::array()}};
  for (const std::string& path : *restored)
    all["restored"].push_back("/" + base::printable(path));
  if (!invocation.json && !invocation.quiet) {
    std::cout << vm << ": " << backup.manifest.id << ": restored into the running container:\n";
    for (const Json& path : all["restored"])
      std::cout << "  " << path.get<std::string>() << "\n";
    std::cout << "what a program there had open, it has as it was: restart it\n" << std::flush;
  }
  return all;
}

}  // namespace holdfast::host::command
