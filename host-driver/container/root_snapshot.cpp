// SPDX-License-Identifier: MIT
#include "container/root_snapshot.h"

#include <sys/stat.h>

#include <cerrno>
#include <filesystem>

#include "base/text.h"
#include "container/btrfs_root.h"
#include "container/lvm_root.h"
#include "snapshot/btrfs/subvolume.h"

namespace holdfast::host::container {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::ProcessRunner;
using base::Result;

namespace {

constexpr std::string_view kDevices = "/dev/";
constexpr std::string_view kOurs = ".holdfast-";

Result<bool> is_same_filesystem(const std::string& one, const std::string& other) {
  if (snapshot::is_on_btrfs(one)) return snapshot::same_filesystem(one, other);
  struct stat first {};
  struct stat second {};
  if (::stat(one.c_str(), &first) == 0 && ::stat(other.c_str(), &second) == 0) {
    return first.st_dev == second.st_dev;
  }
  return base::errno_error(errno, "unable to look at " + base::in_quotes(one));
}

}  // namespace

Result<std::unique_ptr<RootSnapshot>> RootSnapshot::of(const std::string& root,
                                                       const std::string& name, int share,
                                                       ProcessRunner& processes,
                                                       Deadline deadline) {
  auto made = snapshot::is_on_btrfs(root) ? BtrfsRoot::of(root, name, processes, deadline)
                                          : LvmRoot::of(root, name, share, processes, deadline);
  if (made) return made;
  return base::wrap(std::move(made).error(),
                    "unable to snapshot the container's root '" + base::printable(root) + "'");
}

void RootSnapshot::flush_early(Deadline deadline, const std::stop_token& stop) const {
  (void)processes_.run(
      {.argv = {"sync", "--file-system", root_}, .deadline = deadline, .stop = stop});
}

Result<std::string> place_beside(const std::string& root, const std::string& name) {
  const std::string beside = base::directory_of(root);
  const auto same = is_same_filesystem(root, beside);
  if (!same) return same.error();
  if (*same) return (beside == "/" ? "" : beside) + "/." + name;
  return Error(ErrorCode::kUnsupported,
               "the directory above it is on another filesystem, and inside it the container could "
               "change what is put there")
      .with_hint("see CONTAINERS in holdfast(1)");
}

Result<void> remove_by_journal(const snapshot::JournalSnapshot& place, ProcessRunner& processes,
                               Deadline deadline) {
  if (place.path.starts_with(kDevices)) {
    return snapshot::VolumeSnapshots(processes, 0).remove(place, deadline);
  }
  const auto status = std::filesystem::symlink_status(place.path);
  if (!std::filesystem::is_directory(status) || snapshot::is_subvolume(place.path)) {
    return snapshot::delete_subvolume(processes, place.path, deadline);
  }
  const std::filesystem::path path(place.path);
  if (!path.filename().string().starts_with(kOurs)) {
    return Error(ErrorCode::kRefused, base::in_quotes(place.path) + " is no directory of ours");
  }
  std::error_code problem;
  (void)std::filesystem::remove_all(path, problem);
  if (!problem) return {};
  return base::errno_error(problem.value(), "unable to remove " + base::in_quotes(place.path));
}

}  // namespace holdfast::host::container
