// SPDX-License-Identifier: MIT
#include "snapshot/lvm/lvm_strategy.h"

#include <sys/stat.h>

#include <cerrno>

#include "base/text.h"

namespace holdfast::host::snapshot {

using base::Deadline;
using base::Result;

Result<void> LvmStrategy::do_check() {
  return volumes_.look(command_time());
}

Result<std::string> LvmStrategy::do_unit(const std::string& image) {
  // The index is of one digit or two.
  return volumes_.volume_of(image, snapshot_name(volumes_.count()));
}

std::string LvmStrategy::do_place(const std::string& unit, std::size_t index) {
  return volume_snapshot_path(unit, snapshot_name(index));
}

Result<void> LvmStrategy::do_room() const {
  return volumes_.check_room(snapshots());
}

Result<void> LvmStrategy::do_prepare(const JournalSnapshot& /*snapshot*/, Deadline /*deadline*/) {
  return {};
}

Result<void> LvmStrategy::do_take(const JournalSnapshot& snapshot, Deadline deadline) {
  return volumes_.take(snapshot, deadline);
}

Result<std::string> LvmStrategy::do_inside(const JournalSnapshot& snapshot,
                                           const std::string& image) {
  struct stat status {};
  if (::stat(image.c_str(), &status) != 0) {
    return base::errno_error(errno, "unable to look at " + base::in_quotes(image));
  }
  if (S_ISBLK(status.st_mode)) return snapshot.path;
  auto known = mounted_.find(snapshot.path);
  if (known == mounted_.end()) {
    const auto filesystem = filesystem_of(image);
    if (!filesystem) return filesystem.error();
    auto mounted = MountedSnapshot::of(snapshot.path, *filesystem);
    if (!mounted) return std::move(mounted).error();
    known = mounted_.emplace(snapshot.path, std::move(*mounted)).first;
  }
  return known->second.path_of(image);
}

Result<void> LvmStrategy::do_intact(const JournalSnapshot& snapshot, Deadline deadline) {
  return volumes_.is_intact(snapshot, deadline);
}

Result<void> LvmStrategy::do_remove(const JournalSnapshot& snapshot, Deadline deadline) {
  mounted_.erase(snapshot.path);
  return volumes_.remove(snapshot, deadline);
}

}  // namespace holdfast::host::snapshot
