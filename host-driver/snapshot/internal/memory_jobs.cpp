// SPDX-License-Identifier: MIT
#include "snapshot/internal/memory_jobs.h"

#include "base/text.h"
#include "qmp/schema.h"

namespace holdfast::host::snapshot {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Json;
using base::Millis;
using base::Result;

namespace {

constexpr Millis kAskAgain{200};

Result<void> begin(qmp::Client& monitor, const char* command, std::string id, const MemoryJob& job,
                   Deadline deadline) {
  auto begun = monitor.execute(command,
                               {{"job-id", std::move(id)},
                                {"tag", job.tag},
                                {"vmstate", job.memory_node},
                                {"devices", job.nodes}},
                               deadline);
  if (!begun) return std::move(begun).error();
  return {};
}

}  // namespace

std::string save_job(std::string_view tag) {
  return std::string(tag) + "-save";
}

std::string load_job(std::string_view tag) {
  return std::string(tag) + "-load";
}

Result<void> require_memory_jobs(qmp::Client& monitor, Deadline deadline) {
  if (qmp::command_takes(monitor, "snapshot-save", "vmstate", deadline)) return {};
  return Error(ErrorCode::kUnsupported, "QEMU " + base::printable(monitor.version(), 40) +
                                            " keeps no memory inside images by a job")
      .with_hint("QEMU 6.0 does; without --with-memory the disks are kept");
}

Result<void> begin_save(qmp::Client& monitor, const MemoryJob& job, Deadline deadline) {
  return begin(monitor, "snapshot-save", save_job(job.tag), job, deadline);
}

Result<void> begin_load(qmp::Client& monitor, const MemoryJob& job, Deadline deadline) {
  return begin(monitor, "snapshot-load", load_job(job.tag), job, deadline);
}

// The monitor itself is what is waited for: it is silent while the job works.
Result<std::optional<qmp::Job>> end_of(qmp::Client& monitor, const std::string& id,
                                       Deadline deadline) {
  for (;;) {
    auto job = qmp::find_job(monitor, id, deadline);
    if (!job || !*job || (*job)->status == "concluded") return job;
    if (deadline.passed()) {
      return Error(ErrorCode::kTimedOut, "the job '" + id + "' is still '" + (*job)->status + "'");
    }
    auto event = monitor.next_event(deadline.earlier_of(Deadline::in(kAskAgain)), {});
    if (!event && event.error().code() != ErrorCode::kTimedOut) return std::move(event).error();
  }
}

Result<bool> finish_job(qmp::Client& monitor, const std::string& id, Deadline deadline) {
  const auto job = end_of(monitor, id, deadline);
  if (!job) return job.error();
  if (!*job) return false;
  if (auto dismissed = qmp::dismiss_job(monitor, id, deadline); !dismissed) {
    return std::move(dismissed).error();
  }
  if ((*job)->error) return Error(ErrorCode::kRefused, *(*job)->error);
  return true;
}

}  // namespace holdfast::host::snapshot
