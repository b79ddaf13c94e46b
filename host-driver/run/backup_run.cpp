// SPDX-License-Identifier: MIT
#include "run/backup_run.h"

#include <algorithm>

#include "base/text.h"
#include "repository/group.h"
#include "run/channel.h"
#include "run/place.h"

namespace holdfast::host::run {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Millis;
using base::Result;
using repository::Level;

namespace {

// An interrupted run still brings the guest's writes back, but does not make anybody wait for long.
constexpr Millis kSettleAfterInterrupt{60000};

}  // namespace

BackupRun::BackupRun(BackupRequest request, base::ProcessRunner& processes, Observer& observer,
                     std::stop_token stop, std::stop_token abandon)
    : request_(std::move(request)),
      settings_(request_.settings),
      observer_(observer),
      stop_(std::move(stop)),
      abandon_(std::move(abandon)),
      images_(processes, settings_.qemu_img),
      machine_(settings_, observer, stop_) {}

Result<BackupOutcome> BackupRun::run() {
  if (auto ready = preflight(); !ready) return after_failure(std::move(ready).error());
  if (auto taken = machine_.take_instant(*strategy_); !taken)
    return after_failure(std::move(taken).error());
  if (auto read = machine_.read_record(); !read) return after_failure(std::move(read).error());
  if (auto good = judge_level(); !good) return after_failure(std::move(good).error());
  return copy_and_publish();
}

Result<void> BackupRun::judge_level() {
  auto judged = machine_.judge();
  if (judged) return {};
  Error error = std::move(judged).error();
  if (!request_.keep_failed || !machine_.evidence().window.taken()) return error;
  // Kept on request for a look at it, under a name that no listing takes for a backup.
  if (auto copied = copy(stop_); !copied) return std::move(error).also(std::move(copied).error());
  auto kept = draft_->keep_as_failed(manifest());
  if (!kept) return std::move(error).also(std::move(kept).error());
  observer_.note("kept as '" + base::printable(*kept) + "'");
  return error;
}

Result<void> BackupRun::settle() {
  if (!to_settle_) return {};
  observer_.step("settle");
  const Millis time = stop_.stop_requested()
                          ? std::min(settings_.settle_timeout, kSettleAfterInterrupt)
                          : settings_.settle_timeout;
  auto settled = strategy_->settle(Deadline::in(time), abandon_);
  if (settled) to_settle_ = false;
  return settled;
}

Error BackupRun::after_failure(Error error) {
  draft_.reset();
  if (auto settled = settle(); !settled) return std::move(error).also(std::move(settled).error());
  // Whatever keeps this from being done has been told already.
  if (strategy_) {
    (void)run::keep_bitmaps(settings_, machine_.monitor(), repository_->tag(), latest_id_);
  }
  return error;
}

Result<BackupOutcome> BackupRun::copy_and_publish() {
  if (auto copied = copy(stop_); !copied) return after_failure(std::move(copied).error());
  // The copy is complete whatever becomes of the overlays: it is published in any case, and a
  // failure to commit is told beside it.
  auto settled = settle();
  observer_.step("publish");
  BackupOutcome outcome{{}, manifest(), machine_.verdict().level};
  auto published = draft_->publish(outcome.manifest);
  if (!published) {
    Error error = std::move(published).error();
    if (!settled) return std::move(error).also(std::move(settled).error());
    keep_bitmaps(latest_id_);
    return error;
  }
  note_repository(settings_, observer_);
  if (!settled) return left_in_qemu(std::move(settled).error());
  keep_bitmaps(draft_->id());
  outcome.directory = std::move(*published);
  return outcome;
}

Error BackupRun::left_in_qemu(Error error) const {
  const ErrorCode code = error.code();
  return Error(code, "the backup '" + draft_->id() +
                         "' is complete and published, but something of it is left in QEMU")
      .caused_by(std::move(error))
      .with_hint("the next run takes it away, or: holdfast recover " + settings_.vm);
}

Result<void> BackupRun::stand_by() {
  if (machine_.agent()) return machine_.start_guardian(*strategy_);
  return Error(ErrorCode::kUnreachable, "the guest cannot be frozen: its agent is of no use")
      .with_hint("a group is taken of frozen guests alone");
}

Result<void> BackupRun::take_together(Meeting& meeting) {
  if (auto taken = machine_.take_instant(*strategy_, &meeting); !taken) return taken;
  const WindowOutcome& window = machine_.evidence().window;
  const bool unfrozen = window.attempted && window.freeze_count.value_or(0) == 0;
  // That another one could not go on is told by that one.
  if (meeting.broken() && !unfrozen) return {};
  if (auto read = machine_.read_record(); !read) return read;
  if (auto judged = machine_.judge(); !judged) return judged;
  if (machine_.verdict().level >= Level::kFilesystem) return {};
  std::string reasons;
  for (const std::string& reason : machine_.verdict().reasons)
    reasons += (reasons.empty() ? "" : "; ") + reason;
  return Error(ErrorCode::kBelowRequired, "the guest was not frozen for the group: " + reasons);
}

Result<BackupOutcome> BackupRun::publish_unbound() {
  observer_.step("publish");
  if (auto marked = repository::mark_unbound(draft_->directory()); !marked) {
    return std::move(marked).error();
  }
  BackupOutcome outcome{{}, manifest(), machine_.verdict().level};
  auto published = draft_->publish(outcome.manifest);
  if (!published) return std::move(published).error();
  outcome.directory = std::move(*published);
  return outcome;
}

Result<void> BackupRun::withdraw() {
  return repository_->remove_backup(settings_.vm, draft_->id());
}

void BackupRun::finish() {
  // Without it the backup is found by way of the group's record.
  (void)repository::unmark(repository_->path() + "/" + settings_.vm + "/" + draft_->id());
  note_repository(settings_, observer_);
  if (!to_settle_) keep_bitmaps(draft_->id());
}

}  // namespace holdfast::host::run
