// SPDX-License-Identifier: MIT
#include "container/root_snapshot.h"

#include "base/text.h"
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

Result<std::string> run(ProcessRunner& processes, std::vector<std::string> argv, Deadline deadline,
                        const std::stop_token& stop = {}) {
  const std::string program = argv.front();
  base::ProcessOutcome outcome = processes.run(
      {.argv = std::move(argv), .deadline = deadline, .stop = stop, .output_limit = kListLimit});
  if (!outcome.succeeded()) return outcome.as_error(program);
  return std::move(outcome.output);
}

Error unsupported(const std::string& root, const std::string& why) {
  return Error(ErrorCode::kUnsupported,
               "unable to snapshot the container's root '" + base::printable(root) + "': " + why)
      .with_hint("see CONTAINERS in holdfast(1)");
}

}  // namespace

Result<RootSnapshot> RootSnapshot::of(const std::string& root, const std::string& name,
                                      ProcessRunner& processes, Deadline deadline) {
  if (!snapshot::is_on_btrfs(root)) return unsupported(root, "it is not on btrfs");
  if (!snapshot::may_administer()) {
    return Error(ErrorCode::kPermission,
                 "unable to delete snapshots of btrfs: the capability CAP_SYS_ADMIN is lacking")
        .with_hint("see PRIVILEGES in holdfast(1)");
  }
  auto version = run(processes, {"btrfs", "--version"}, deadline);
  if (!version) return std::move(version).error().with_hint("install the package btrfs-progs");
  const std::string source = snapshot::subvolume_above(root);
  if (source.empty()) return unsupported(root, "the top of its subvolume is not to be seen");
  const std::string beside = base::directory_of(root);
  const auto same = snapshot::same_filesystem(source, beside);
  if (!same) return same.error();
  if (!*same) {
    return unsupported(root,
                       "the directory above it is on another filesystem, and inside it the "
                       "container could change the snapshot");
  }
  const std::string inside =
      root == source ? "" : root.substr(source == "/" ? 1 : source.size() + 1);
  return RootSnapshot(processes, source, (beside == "/" ? "" : beside) + "/." + name, inside);
}

Result<std::vector<std::string>> RootSnapshot::left_out(Deadline deadline) const {
  const auto listing = run(*processes_, {"btrfs", "subvolume", "list", "-o", source_}, deadline);
  if (!listing) return listing.error();
  return parse_subvolumes(*listing, inside_);
}

void RootSnapshot::flush_early(Deadline deadline, const std::stop_token& stop) const {
  (void)run(*processes_, {"sync", "--file-system", source_}, deadline, stop);
}

Result<void> RootSnapshot::take(Deadline deadline) const {
  const auto made = run(*processes_, snapshot::snapshot_command(source_, path_), deadline);
  if (!made) return made.error();
  return {};
}

}  // namespace holdfast::host::container
