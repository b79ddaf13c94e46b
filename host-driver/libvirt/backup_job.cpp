// SPDX-License-Identifier: MIT
#include "libvirt/backup_job.h"

#include "base/text.h"
#include "libvirt/domain.h"

namespace holdfast::host::libvirt {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;

namespace {

// Libvirt itself waits for up to 30 s for another call's end.
constexpr base::Millis kCommandTime{40000};
// Events come when a disk is done; progress is to be seen in between.
constexpr base::Millis kAskAgain{500};
// A daemon that has been restarted says that there is no job until it has found its machines again.
constexpr base::Millis kComesBack{15000};
// How long a disk that is just ending may take for it.
constexpr base::Millis kLimitTime{10000};

Deadline command_time() {
  return Deadline::in(kCommandTime);
}

// Looks again when something has happened, and now and then.
Result<void> pause(qmp::Client& bridge, Deadline deadline, const std::stop_token& stop) {
  if (deadline.passed()) return Error(ErrorCode::kTimedOut, "libvirt's backup still runs");
  const auto event = bridge.next_event(deadline.earlier_of(Deadline::in(kAskAgain)), stop);
  if (!event && event.error().code() != ErrorCode::kTimedOut) return event.error();
  return {};
}

// Libvirt says that a backup has ended a little before it has closed the last target, and answers
// this after it has (qemu_blockjob.c, qemuBlockJobProcessEventConcludedBackup).
Result<void> await_closed_targets(qmp::Client& bridge) {
  const auto disks = read_disks(bridge, command_time());
  if (!disks) return disks.error();
  return {};
}

}  // namespace

Result<BackupJob> read_backup_job(qmp::Client& bridge, Deadline deadline) {
  const auto answer = bridge.execute("query-backup", Json::object(), deadline);
  if (!answer) return answer.error();
  auto state = base::string_member(*answer, "state");
  const auto targets = base::array_member(*answer, "targets");
  const auto done = base::integer_member(*answer, "done");
  const auto total = base::integer_member(*answer, "total");
  if (!state) return std::move(state).error();
  if (!targets) return targets.error();
  if (!done) return done.error();
  if (!total) return total.error();
  BackupJob job;
  job.state = std::move(*state);
  job.done = static_cast<double>(*done);
  job.total = static_cast<double>(*total);
  for (const Json& path : **targets) {
    if (path.is_string()) job.targets.push_back(path.get<std::string>());
  }
  if (const auto ended = base::object_member(*answer, "ended"); ended) {
    job.outcome_known = true;
    job.success = base::bool_member(**ended, "success").value_or(false);
    job.error = base::printable(base::string_member(**ended, "error").value_or(""), 1000);
  }
  return job;
}

Result<void> limit_backup(qmp::Client& bridge, const std::vector<std::string>& disks,
                          std::int64_t rate, const std::stop_token& stop) {
  const Deadline deadline = Deadline::in(kLimitTime);
  for (;;) {
    auto limited =
        bridge.execute("limit-backup", {{"disks", disks}, {"rate", rate}}, command_time());
    if (limited) return {};
    const auto job = read_backup_job(bridge, command_time());
    if (!job) return job.error();
    if (!job->is_there()) return {};
    if (deadline.passed()) {
      return base::wrap(std::move(limited).error(), "unable to limit the rate of the copy");
    }
    if (auto paused = pause(bridge, deadline, stop); !paused) return paused;
  }
}

Result<BackupJob> wait_for_backup(qmp::Client& bridge, Deadline deadline,
                                  const std::stop_token& stop,
                                  const snapshot::CopyProgress& progress) {
  std::optional<Deadline> neither;  // a job nor how it has ended
  for (;;) {
    auto job = read_backup_job(bridge, command_time());
    if (!job) return job;
    if (job->is_there()) {
      neither.reset();
      if (progress && job->total > 0) progress(100.0 * job->done / job->total);
    } else if (job->outcome_known || (neither && neither->passed())) {
      if (auto closed = await_closed_targets(bridge); !closed) return std::move(closed).error();
      return job;
    } else if (!neither) {
      neither = Deadline::in(kComesBack);
    }
    if (auto paused = pause(bridge, deadline, stop); !paused) return std::move(paused).error();
  }
}

Result<void> end_backup(qmp::Client& bridge, Deadline deadline, const std::stop_token& stop) {
  for (;;) {
    const auto job = read_backup_job(bridge, command_time());
    if (!job) return job.error();
    if (!job->is_there()) break;
    // One that is about to begin cannot be ended yet; one that is about to end says so, too.
    if (job->state == "running") {
      (void)bridge.execute("abort-backup", Json::object(), command_time());
    }
    if (auto paused = pause(bridge, deadline, stop); !paused) return paused;
  }
  return await_closed_targets(bridge);
}

}  // namespace holdfast::host::libvirt
