// SPDX-License-Identifier: MIT
#include "run/container_run.h"

#include <unistd.h>

#include "base/duration.h"
#include "base/file.h"
#include "base/text.h"
#include "container/archive.h"
#include "container/slot.h"
#include "image/checksum.h"
#include "repository/paths.h"
#include "run/background.h"
#include "run/container_state.h"
#include "run/evidence_json.h"
#include "run/state.h"

namespace holdfast::host::run {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;

namespace {

// How large an archive becomes is not known; that nothing fits is.
constexpr std::uint64_t kSpaceMargin = std::uint64_t{64} << 20U;
// Of the end of an identifier, the run's own part.
constexpr std::size_t kRunDigits = 8;

}  // namespace

ContainerRun::ContainerRun(BackupRequest request, base::ProcessRunner& processes,
                           Observer& observer, std::stop_token stop)
    : request_(std::move(request)),
      settings_(request_.settings),
      processes_(processes),
      observer_(observer),
      stop_(std::move(stop)),
      manager_(container::make_manager(settings_.container, processes)),
      agent_(*manager_, processes),
      journal_file_(journal_path(settings_)) {}

Result<BackupOutcome> ContainerRun::run() {
  if (auto ready = preflight(); !ready) return after_failure(std::move(ready).error());
  if (auto taken = take_instant(); !taken) return after_failure(std::move(taken).error());
  read_record();
  if (stop_.stop_requested()) return after_failure({ErrorCode::kCancelled, "interrupted"});
  if (auto good = judge(); !good) {
    Error error = std::move(good).error();
    if (!request_.keep_failed || !evidence_.window.taken()) return after_failure(std::move(error));
    if (auto archived = archive(); !archived) {
      return after_failure(std::move(error).also(std::move(archived).error()));
    }
    auto kept = draft_->keep_as_failed(manifest());
    if (!kept) return after_failure(std::move(error).also(std::move(kept).error()));
    observer_.note("kept as '" + base::printable(*kept) + "'");
    return after_failure(std::move(error));
  }
  return archive_and_publish();
}

Result<void> ContainerRun::preflight() {
  observer_.step("preflight");
  begin_ = std::chrono::system_clock::now();
  auto lock = lock_machine(settings_);
  if (!lock) return std::move(lock).error();
  lock_ = std::move(*lock);
  auto place = take_place(settings_, request_.new_repository, observer_);
  if (!place) return std::move(place).error();
  place_ = std::move(*place);
  const auto id = repository::make_backup_id(begin_);
  if (!id) return id.error();
  container::Archiver archiver(processes_, Deadline::in(settings_.agent_timeout), stop_);
  if (auto able = archiver.check_programs(settings_.compress); !able) return able;
  auto recovered = recover_container(settings_, processes_);
  if (!recovered) {
    return base::wrap(std::move(recovered).error(), "unable to clear up after an interrupted run");
  }
  for (const std::string& line : *recovered)
    observer_.note(line);
  if (auto looked = look_at_container(); !looked) return looked;
  if (request_.before_it_begins) {
    if (auto ready = request_.before_it_begins(*id); !ready) return ready;
  }
  if (stop_.stop_requested()) return Error(ErrorCode::kCancelled, "interrupted");
  if (auto looked = look_at_root(*id); !looked) return looked;
  if (auto looked = look_at_agent(); !looked) return looked;
  if (auto enough = check_space(); !enough) return enough;
  if (auto there = place_->repository.still_there(); !there) return there;
  auto directory = place_->repository.make_vm_directory(settings_.vm);
  if (!directory) return std::move(directory).error();
  auto draft = repository::Draft::create(*directory, *id);
  if (!draft) return std::move(draft).error();
  draft_.emplace(std::move(*draft));
  return {};
}

Result<void> ContainerRun::look_at_container() {
  auto found = manager_->find(Deadline::in(settings_.agent_timeout), stop_);
  if (!found) return std::move(found).error();
  found_ = std::move(*found);
  const auto frozen = container::Freezer(found_.cgroup).is_frozen();
  if (!frozen) return frozen.error();
  if (!*frozen) return {};
  return Error(ErrorCode::kBusy, "the container is frozen already, and not by a run of ours")
      .with_hint("if nobody else is at work on it: holdfast thaw " + settings_.vm);
}

Result<void> ContainerRun::look_at_root(const std::string& id) {
  const std::string run = id.substr(id.size() - kRunDigits);
  auto root = container::RootSnapshot::of(
      found_.root, "holdfast-" + settings_.vm + "-" + run + "-0", settings_.overlay_reserve,
      processes_, Deadline::in(settings_.agent_timeout));
  if (!root) return std::move(root).error();
  root_ = std::move(*root);
  auto left_out = root_->left_out(Deadline::in(settings_.agent_timeout));
  if (!left_out) return std::move(left_out).error();
  left_out_ = std::move(*left_out);
  auto mounts = container::other_mounts(found_.leader);
  if (!mounts)
    return base::wrap(std::move(mounts).error(), "unable to read the container's mounts");
  other_mounts_ = std::move(*mounts);
  for (const std::string& path : left_out_)
    observer_.note("leaving out the subvolume '" + path + "' in the container");
  for (const container::OtherMount& mount : other_mounts_)
    observer_.note("leaving out '" + mount.path +
                   "', where another filesystem is mounted: " + mount.kind);
  journal_ = {.run = run, .method = kContainerMethod, .may_be_taken = true, .disks = {}};
  journal_.snapshots = {root_->place()};
  return {};
}

Result<void> ContainerRun::look_at_agent() {
  const auto time = [&] { return Deadline::in(settings_.agent_timeout); };
  auto there = agent_.look(time(), stop_);
  if (stop_.stop_requested()) return Error(ErrorCode::kCancelled, "interrupted");
  has_agent_ = static_cast<bool>(there);
  if (!there) {
    evidence_.record_problem = there.error().text();
    return {};
  }
  evidence_.before =
      earlier_record(agent_.read(settings_.guest_record, kRecordLimit, time(), stop_));
  return {};
}

Result<void> ContainerRun::check_space() {
  const auto free = repository::free_space(place_->repository.path());
  if (!free) return free.error();
  if (*free >= kSpaceMargin) return {};
  return Error(ErrorCode::kNoSpace, "unable to back up into '" +
                                        base::printable(place_->repository.path()) +
                                        "': " + base::format_bytes(*free) + " free");
}

// Durable before anything is frozen or made.
Result<void> ContainerRun::save_journal(bool frozen) {
  journal_.cgroup = frozen ? found_.cgroup : std::string();
  journal_.resume = frozen && has_agent_;
  return journal_file_.save(journal_);
}

Result<void> ContainerRun::archive() {
  const Deadline deadline = Deadline::in(settings_.copy_timeout);
  const auto waiting = [this] { observer_.step("wait for a place among the archives"); };
  const auto slot = container::Slot::take(settings_.state_directory, settings_.parallel_archives,
                                          deadline, stop_, waiting);
  if (!slot) return slot.error();
  observer_.step("archive");
  const Background background;
  copy_begin_ = std::chrono::steady_clock::now();
  container::Archiver archiver(processes_, deadline, stop_);
  const std::string path = draft_->directory() + "/" + container::archive_file(settings_.compress);
  const auto tree = root_->tree();
  if (!tree) return tree.error();
  auto written = archiver.write(*tree, path, settings_.compress, settings_.rate_limit,
                                [&](std::uint64_t bytes) {
                                  observer_.progress("archiving, " + base::format_bytes(bytes), 0);
                                });
  if (!written) written = base::wrap(std::move(written).error(), "unable to archive the container");
  // Also if the archive had no trouble: it may have been read from a snapshot worth nothing.
  if (auto intact = root_->is_intact(Deadline::in(settings_.snapshot_timeout)); !intact) {
    Error error = std::move(intact).error();
    return written ? error : std::move(error).also(std::move(written).error());
  }
  if (!written) return written;
  // Read again: what cannot be unpacked is no backup.
  const auto entries = archiver.check(path, settings_.compress);
  if (!entries) return entries.error();
  auto digest = image::digest_file(path, stop_);
  if (!digest) return std::move(digest).error();
  entries_ = *entries;
  bytes_ = digest->bytes;
  sha256_ = std::move(digest->sha256);
  copy_end_ = std::chrono::steady_clock::now();
  return {};
}

Result<void> ContainerRun::settle() {
  if (!to_settle_) return {};
  observer_.step("settle");
  auto removed = root_->remove(Deadline::in(settings_.settle_timeout));
  if (!removed) return base::wrap(std::move(removed).error(), "unable to remove the snapshot");
  if (auto gone = journal_file_.remove(); !gone) return gone;
  to_settle_ = false;
  return {};
}

Error ContainerRun::after_failure(Error error) {
  draft_.reset();
  // As long as it may be frozen, the journal is what `recover` goes by.
  if (may_be_frozen_) return error;
  if (auto settled = settle(); !settled) return std::move(error).also(std::move(settled).error());
  return error;
}

Result<BackupOutcome> ContainerRun::archive_and_publish() {
  if (auto archived = archive(); !archived) return after_failure(std::move(archived).error());
  auto settled = settle();
  observer_.step("publish");
  BackupOutcome outcome{{}, manifest(), verdict_.level};
  auto published = draft_->publish(outcome.manifest);
  if (!published) {
    Error error = std::move(published).error();
    return settled ? error : std::move(error).also(std::move(settled).error());
  }
  note_repository(settings_, observer_);
  if (!settled) {
    const ErrorCode code = settled.error().code();
    return Error(code, "the backup '" + draft_->id() +
                           "' is complete and published, but its snapshot is left")
        .caused_by(std::move(settled).error())
        .with_hint("the next run takes it away, or: holdfast recover " + settings_.vm);
  }
  outcome.directory = std::move(*published);
  return outcome;
}

Json ContainerRun::manifest() const {
  const auto now = std::chrono::system_clock::now();
  Json skipped = Json::array();
  for (const std::string& path : left_out_)
    skipped.push_back({{"device", path}, {"reason", "a subvolume of its own"}});
  for (const container::OtherMount& mount : other_mounts_)
    skipped.push_back({{"device", mount.path}, {"reason", "mounted there: " + mount.kind}});
  return {{"schema", repository::kManifestSchema},
          {"holdfast", HOLDFAST_VERSION},
          {"id", draft_->id()},
          {"vm", settings_.vm},
          {"group", nullptr},
          {"method", std::string(root_->method())},
          {"kind", "archive"},
          {"begin", base::format_time(begin_)},
          {"end", base::format_time(now)},
          {"level", std::string(name_of(verdict_.level))},
          {"required", settings_.require},
          {"preferred", settings_.prefer},
          {"evidence", evidence_json(evidence_, verdict_)},
          {"trim", nullptr},
          {"window", window_json(evidence_.window)},
          {"copy", {{"duration_ms", milliseconds(copy_end_ - copy_begin_)}, {"bytes", bytes_}}},
          {"container",
           {{"manager", settings_.container.manager},
            {"name", settings_.container.name},
            {"agent", has_agent_}}},
          {"disks", Json::array()},
          {"archive",
           {{"file", container::archive_file(settings_.compress)},
            {"compression", settings_.compress},
            {"root", found_.root},
            {"entries", entries_},
            {"bytes", bytes_},
            {"sha256", sha256_}}},
          {"skipped", std::move(skipped)},
          {"definition", nullptr},
          {"verified",
           {{"at", base::format_time(now)}, {"images", "tar --list"}, {"checksums", "sha256"}}}};
}

}  // namespace holdfast::host::run
