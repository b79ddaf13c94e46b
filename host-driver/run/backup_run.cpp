// SPDX-License-Identifier: MIT
#include "run/backup_run.h"

#include <algorithm>

#include "base/look_until.h"
#include "base/text.h"
#include "repository/remembered.h"
#include "run/state.h"

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
// The daemon completes its record after it has answered the thaw hook.
constexpr Millis kRecordCompletes{3000};
constexpr Millis kLookAgain{100};

}  // namespace

BackupRun::BackupRun(BackupRequest request, base::ProcessRunner& processes, Observer& observer,
                     std::stop_token stop, std::stop_token abandon)
    : request_(std::move(request)),
      settings_(request_.settings),
      observer_(observer),
      stop_(std::move(stop)),
      abandon_(std::move(abandon)),
      images_(processes, settings_.qemu_img),
      journal_(journal_path(settings_)) {}

Level BackupRun::required() const {
  return repository::level_named(settings_.require).value();
}

Deadline BackupRun::monitor_time() const {
  return Deadline::in(settings_.qmp_timeout);
}

Deadline BackupRun::agent_time() const {
  return Deadline::in(settings_.agent_timeout);
}

Result<BackupOutcome> BackupRun::run() {
  begin_ = std::chrono::system_clock::now();
  if (auto ready = preflight(); !ready) return after_failure(std::move(ready).error());
  if (auto taken = take_instant(); !taken) return after_failure(std::move(taken).error());
  if (auto read = read_record(); !read) return after_failure(std::move(read).error());
  if (auto good = judge_level(); !good) return after_failure(std::move(good).error());
  return copy_and_publish();
}

Result<void> BackupRun::take_instant() {
  WindowOutcome window;
  if (agent_) {
    observer_.step("freeze");
    auto guardian = Guardian::start({.vm = settings_.vm, .agent = agent_endpoint(settings_)});
    if (!guardian) return std::move(guardian).error();
    auto outcome = run_window(settings_, agent_, *guardian, *strategy_, stop_);
    if (!outcome) {
      guest_may_be_frozen_ = true;
      return std::move(outcome).error();
    }
    window = std::move(*outcome);
  }
  if (stop_.stop_requested()) return Error(ErrorCode::kCancelled, "interrupted");
  // Not frozen: only who asked for no more than an instant gets one.
  if (!window.tried && required() == Level::kCrash) {
    window = take_unfrozen(settings_, *strategy_, std::move(window));
  }
  evidence_.window = std::move(window);
  if (evidence_.window.snapshot_error) {
    const ErrorCode code = evidence_.window.snapshot_error->code();
    return Error(code, "unable to take the snapshot").caused_by(*evidence_.window.snapshot_error);
  }
  return {};
}

Result<void> BackupRun::read_record() {
  if (!evidence_.window.attempted || !agent_) {
    evidence_.record_problem = "the agent is of no use";
    return {};
  }
  // Nothing tells the host that a file in the guest has changed.
  (void)base::look_until(Deadline::in(kRecordCompletes), kLookAgain,
                         [this] { return look_at_record() || stop_.stop_requested(); });
  if (stop_.stop_requested()) return Error(ErrorCode::kCancelled, "interrupted");
  return {};
}

bool BackupRun::look_at_record() {
  const auto text = agent_->read_file(settings_.guest_record, kRecordLimit, agent_time(), stop_);
  if (!text) {
    evidence_.record_problem = text.error().text();
    return true;
  }
  auto record = parse_guest_record(*text);
  if (!record) {
    evidence_.record_problem = record.error().text();
    return true;
  }
  const bool unfinished = record->state != "done" && is_of_this_window(evidence_.before, *record);
  evidence_.record = std::move(*record);
  return !unfinished;
}

Result<void> BackupRun::judge_level() {
  verdict_ = decide_level(evidence_);
  if (verdict_.level >= required() && evidence_.window.taken()) return {};
  std::string reasons;
  for (const std::string& reason : verdict_.reasons)
    reasons += (reasons.empty() ? "" : "; ") + reason;
  Error error = Error(ErrorCode::kBelowRequired,
                      "the level would be '" + std::string(name_of(verdict_.level)) + "', '" +
                          settings_.require + "' is required: " + reasons);
  if (!request_.keep_failed || !evidence_.window.taken()) return error;
  // Kept on request for a look at it, under a name that no listing takes for a backup.
  if (auto copied = copy(); !copied) return std::move(error).also(std::move(copied).error());
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
    (void)run::keep_bitmaps(settings_, *monitor_, repository_->tag(), latest_id_);
  }
  return error;
}

Result<BackupOutcome> BackupRun::copy_and_publish() {
  if (auto copied = copy(); !copied) return after_failure(std::move(copied).error());
  // The copy is complete whatever becomes of the overlays: it is published in any case, and a
  // failure to commit is told beside it.
  auto settled = settle();
  observer_.step("publish");
  BackupOutcome outcome{{}, manifest(), verdict_.level};
  auto published = draft_->publish(outcome.manifest);
  if (!published) {
    Error error = std::move(published).error();
    if (!settled) return std::move(error).also(std::move(settled).error());
    keep_bitmaps(latest_id_);
    return error;
  }
  if (auto noted = repository::remember(settings_.state_directory, settings_.repository); !noted) {
    observer_.note(noted.error().one_line() +
                   ", continuing: it will not be noticed when the repository is not mounted");
  }
  if (!settled) {
    const ErrorCode code = settled.error().code();
    return Error(code, "the backup '" + draft_->id() +
                           "' is complete and published, but something of it is left in QEMU")
        .caused_by(std::move(settled).error())
        .with_hint("the next run takes it away, or: holdfast recover " + settings_.vm);
  }
  keep_bitmaps(draft_->id());
  outcome.directory = std::move(*published);
  return outcome;
}

}  // namespace holdfast::host::run
