// SPDX-License-Identifier: MIT
#include "container/btrfs_root.h"

#include "container/other_mounts.h"
#include "snapshot/btrfs/subvolume.h"

namespace holdfast::host::container {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::ProcessRunner;
using base::Result;

namespace {

constexpr std::size_t kListLimit = std::size_t{1} << 20U;

Result<std::string> run(ProcessRunner& processes, std::vector<std::string> argv,
                        Deadline deadline) {
  const std::string program = argv.front();
  base::ProcessOutcome outcome =
      processes.run({.argv = std::move(argv), .deadline = deadline, .output_limit = kListLimit});
  if (!outcome.succeeded()) return outcome.as_error(program);
  return std::move(outcome.output);
}

}  // namespace

BtrfsRoot::BtrfsRoot(const std::string& root, snapshot::JournalSnapshot place,
                     ProcessRunner& processes)
    : RootSnapshot(root, std::move(place), processes) {
  const std::string& top = this->place().source;
  if (root != top) inside_ = root.substr(top == "/" ? 1 : top.size() + 1);
}

Result<std::unique_ptr<RootSnapshot>> BtrfsRoot::of(const std::string& root,
                                                    const std::string& name,
                                                    ProcessRunner& processes, Deadline deadline) {
  if (!snapshot::may_administer()) {
    return Error(ErrorCode::kPermission,
                 "unable to delete snapshots of btrfs: the capability CAP_SYS_ADMIN is lacking")
        .with_hint("see PRIVILEGES in holdfast(1)");
  }
  auto version = run(processes, {"btrfs", "--version"}, deadline);
  if (!version) return std::move(version).error().with_hint("install the package btrfs-progs");
  std::string source = snapshot::subvolume_above(root);
  if (source.empty()) {
    return Error(ErrorCode::kUnsupported, "the top of its subvolume is not to be seen")
        .with_hint("see CONTAINERS in holdfast(1)");
  }
  auto path = place_beside(root, name);
  if (!path) return std::move(path).error();
  return std::unique_ptr<RootSnapshot>(
      new BtrfsRoot(root, {std::move(source), std::move(*path)}, processes));
}

Result<std::vector<std::string>> BtrfsRoot::left_out(Deadline deadline) const {
  const auto listing =
      run(processes(), {"btrfs", "subvolume", "list", "-o", place().source}, deadline);
  if (!listing) return listing.error();
  return parse_subvolumes(*listing, inside_);
}

Result<void> BtrfsRoot::take(Deadline deadline) {
  const auto made =
      run(processes(), snapshot::snapshot_command(place().source, place().path), deadline);
  if (!made) return made.error();
  return {};
}

Result<std::string> BtrfsRoot::tree() {
  return place().path + (inside_.empty() ? "" : "/" + inside_);
}

// It cannot be otherwise.
Result<void> BtrfsRoot::is_intact(Deadline /*deadline*/) {
  return {};
}

Result<void> BtrfsRoot::remove(Deadline deadline) {
  return snapshot::delete_subvolume(processes(), place().path, deadline);
}

}  // namespace holdfast::host::container
