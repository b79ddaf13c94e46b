// SPDX-License-Identifier: MIT
#include "run/running_restore.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "base/text.h"
#include "container/archive.h"
#include "container/exchange.h"
#include "container/freezer.h"
#include "container/other_mounts.h"
#include "container/root_snapshot.h"
#include "repository/paths.h"
#include "run/container_state.h"
#include "run/guardian.h"
#include "run/state.h"
#include "snapshot/btrfs/subvolume.h"

namespace holdfast::host::run {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Millis;
using base::Result;

namespace {

// Of one that stands still: what shares its data is copied within that.
constexpr Millis kLongestCopy{600000};
constexpr Millis kMargin{2000};

bool is_at_or_below(const std::string& path, const std::string& above) {
  return path == above || path.starts_with(above + "/");
}

}  // namespace

RunningRestore::RunningRestore(RunningRestoreRequest request, base::ProcessRunner& processes,
                               Observer& observer, std::stop_token stop)
    : request_(std::move(request)),
      settings_(request_.settings),
      processes_(processes),
      observer_(observer),
      stop_(std::move(stop)),
      journal_file_(journal_path(settings_)) {}

Result<std::vector<std::string>> RunningRestore::run() {
  for (const std::string& path : request_.paths) {
    auto normal = container::path_in_root(path);
    if (!normal) return std::move(normal).error();
    paths_.push_back(std::move(*normal));
  }
  const auto lock = lock_machine(settings_);
  if (!lock) return lock.error();
  auto recovered = recover_container(settings_, processes_);
  if (!recovered) return recovered;
  for (const std::string& line : *recovered)
    observer_.note(line);
  if (auto found = find(); !found) return std::move(found).error();
  if (auto right = check_mounts(); !right) return std::move(right).error();
  // From here on something may be left.
  auto done = unpack();
  if (done && request_.paths.empty()) done = list_whole();
  if (done) done = put_in_place();
  if (!done && container::Freezer(found_.cgroup).is_asked().value_or(false)) {
    return std::move(done).error();  // the guardian goes on, and the journal says what is left
  }
  const auto cleared = recover_container(settings_, processes_);
  if (!done) {
    return cleared ? std::move(done).error() : std::move(done).error().also(cleared.error());
  }
  if (!cleared) return base::wrap(cleared.error(), "all is restored, but something is left");
  return paths_;
}

Result<void> RunningRestore::find() {
  const auto manager = container::make_manager(settings_.container, processes_);
  auto found = manager->find(Deadline::in(settings_.agent_timeout), stop_);
  if (!found) return std::move(found).error();
  found_ = std::move(*found);
  const auto frozen = container::Freezer(found_.cgroup).is_frozen();
  if (!frozen) return frozen.error();
  if (*frozen) return Error(ErrorCode::kBusy, "the container is frozen already");
  auto mounts = container::mount_points(found_.leader);
  if (!mounts) return std::move(mounts).error();
  for (const std::string& mount : *mounts) {
    if (mount.size() > 1) mounts_.push_back(mount.substr(1));
  }
  const auto tag = repository::make_tag();
  if (!tag) return tag.error();
  const auto beside =
      container::place_beside(found_.root, "holdfast-" + settings_.vm + "-" + *tag + "-restore");
  if (!beside) return base::wrap(beside.error(), "unable to restore into the container");
  unpacked_ = *beside;
  tree_ = ".holdfast-" + *tag;
  journal_ = {.run = *tag, .method = kContainerMethod, .may_be_taken = true, .disks = {}};
  journal_.snapshots = {{found_.root, unpacked_}};
  return {};
}

// What is put below a mount, the container would not see; and a mount goes with its directory.
Result<void> RunningRestore::check_mounts() {
  for (const std::string& path : paths_) {
    for (const std::string& mount : mounts_) {
      if (!is_at_or_below(path, mount) && !is_at_or_below(mount, path)) continue;
      return Error(ErrorCode::kRefused, "unable to restore '/" + base::printable(path) +
                                            "': the container has something mounted at '/" +
                                            base::printable(mount) + "'");
    }
  }
  return {};
}

Result<std::string> RunningRestore::command(std::vector<std::string> argv) {
  const std::string program = argv.front();
  base::ProcessOutcome outcome = processes_.run(
      {.argv = std::move(argv), .deadline = Deadline::in(kLongestCopy), .stop = stop_});
  if (!outcome.succeeded()) return outcome.as_error(program);
  return std::move(outcome.output);
}

Result<void> RunningRestore::unpack() {
  observer_.step("unpack");
  if (auto saved = journal_file_.save(journal_); !saved) return saved;
  if (snapshot::is_on_btrfs(found_.root)) {
    auto made = command({"btrfs", "subvolume", "create", unpacked_});
    if (!made) return std::move(made).error();
  } else if (::mkdir(unpacked_.c_str(), 0700) != 0) {
    return base::errno_error(errno, "unable to make '" + base::printable(unpacked_) + "'");
  }
  if (::chmod(unpacked_.c_str(), 0700) != 0) {
    return base::errno_error(errno, "unable to use '" + base::printable(unpacked_) + "'");
  }
  std::vector<std::string> names;
  for (const std::string& path : paths_)
    names.push_back("./" + path);
  container::Archiver archiver(processes_, Deadline::in(settings_.copy_timeout), stop_);
  return archiver.unpack(request_.archive, request_.compression, unpacked_, names);
}

Result<void> RunningRestore::list_whole() {
  std::error_code problem;
  auto entry = std::filesystem::directory_iterator(unpacked_, problem);
  for (; !problem && entry != std::filesystem::directory_iterator(); entry.increment(problem)) {
    const std::string name = entry->path().filename().string();
    const auto covers = [&](const std::string& mount) { return is_at_or_below(mount, name); };
    if (std::any_of(mounts_.begin(), mounts_.end(), covers)) {
      observer_.note("leaving '/" + base::printable(name) +
                     "' as it is: the container has something mounted there");
    } else {
      paths_.push_back(name);
    }
  }
  if (problem) return base::errno_error(problem.value(), "unable to list what was unpacked");
  std::sort(paths_.begin(), paths_.end());
  return {};
}

Result<void> RunningRestore::copy_and_exchange() {
  auto made = container::Exchange::in(found_.root, tree_);
  if (!made) return std::move(made).error();
  container::Exchange& exchange = *made;
  for (std::size_t i = 0; i < paths_.size(); ++i) {
    if (auto aimed = exchange.aim(paths_[i]); !aimed) return aimed;
    const auto copied =
        command({"cp", "--archive", "--reflink=auto", "--no-target-directory", "--",
                 unpacked_ + "/" + paths_[i], found_.root + "/" + tree_ + "/" + std::to_string(i)});
    if (!copied) return copied.error();
  }
  // On disk before anything takes its place.
  if (const auto flushed = command({"sync", "--file-system", found_.root}); !flushed) {
    return flushed.error();
  }
  return exchange.exchange_all();
}

Result<void> RunningRestore::put_in_place() {
  observer_.step("freeze");
  journal_.cgroup = found_.cgroup;
  journal_.tree = found_.root + "/" + tree_;
  if (auto saved = journal_file_.save(journal_); !saved) return saved;
  auto guardian = Guardian::start(
      {.vm = settings_.vm, .agent = {}, .release = [this](Deadline deadline) {
         base::SystemProcessRunner processes;
         return release_container(settings_, processes, found_.cgroup, false, deadline);
       }});
  if (!guardian) return std::move(guardian).error();
  const Millis copying = kLongestCopy * (paths_.size() + 1);
  auto armed = guardian->arm(settings_.freeze_timeout + std::min(copying, settings_.copy_timeout) +
                             settings_.thaw_timeout + kMargin);
  if (!armed) return armed;
  const container::Freezer freezer(found_.cgroup);
  auto done = freezer.freeze(Deadline::in(settings_.freeze_timeout));
  if (done && stop_.stop_requested()) done = Error(ErrorCode::kCancelled, "interrupted");
  if (done) done = copy_and_exchange();
  auto thawed = freezer.thaw(Deadline::in(settings_.thaw_timeout));
  if (thawed) guardian->dismiss();
  if (!done) return thawed ? done : std::move(done).error().also(std::move(thawed).error());
  return thawed;
}

}  // namespace holdfast::host::run
