// SPDX-License-Identifier: MIT
#include "snapshot/keep/kept_jobs.h"

#include <optional>

#include "base/text.h"
#include "qmp/block_graph.h"
#include "qmp/jobs.h"

namespace holdfast::host::snapshot {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;

namespace {

constexpr base::Millis kCommandTime{15000};
constexpr base::Millis kAskAgain{1000};
constexpr const char* kJob = "hfpoint-job";

Deadline time() {
  return Deadline::in(kCommandTime);
}

// QEMU's own word for why a job ended, if it is about ours and there is one.
std::optional<std::string> failure_in(const qmp::Event& event) {
  if (event.name != "BLOCK_JOB_COMPLETED") return std::nullopt;
  if (base::string_member(event.data, "device").value_or("") != kJob) return std::nullopt;
  auto problem = base::string_member(event.data, "error");
  if (!problem) return std::nullopt;
  return base::printable(*problem);
}

}  // namespace

Result<void> KeptJobs::flush() {
  const auto nodes = qmp::read_nodes(monitor_, time());
  if (!nodes) return nodes.error();
  for (const qmp::Node& node : *nodes) {
    if (node.driver != "qcow2") continue;
    auto flushed = monitor_.execute("human-monitor-command",
                                    {{"command-line", "qemu-io " + node.name + " flush"}}, time());
    if (!flushed) return std::move(flushed).error();
  }
  return {};
}

Result<void> KeptJobs::start(std::string_view command, Json arguments) {
  arguments["job-id"] = kJob;
  // A concluded block-stream that is not dismissed makes QEMU 7.2 die in query-named-block-nodes.
  arguments["auto-dismiss"] = true;
  auto started = monitor_.execute(command, std::move(arguments), time());
  if (!started) return std::move(started).error();
  return {};
}

Result<void> KeptJobs::run(std::string_view command, Json arguments) {
  arguments["auto-finalize"] = false;
  if (auto started = start(command, std::move(arguments)); !started) return started;
  return follow(Ready::kCancel);
}

Result<void> KeptJobs::run_until_ready(std::string_view command, Json arguments) {
  // While it waited for that, the guest's writes would wait as well.
  arguments["auto-finalize"] = true;
  if (auto started = start(command, std::move(arguments)); !started) return started;
  return follow(Ready::kReturn);
}

Result<void> KeptJobs::complete() {
  if (auto asked = qmp::complete_job(monitor_, kJob, time()); !asked) return asked;
  if (auto ended = follow(Ready::kWait); !ended) return ended;
  return flush();
}

Result<void> KeptJobs::finish() {
  return follow(Ready::kCancel);
}

Result<void> KeptJobs::follow(Ready ready) {
  const Deadline deadline = Deadline::in(patience_);
  std::optional<std::string> failure;
  // What it has been told for the state that it is in.
  std::string told;
  for (;;) {
    const auto job = qmp::find_job(monitor_, kJob, time());
    if (!job) return job.error();
    if (!*job) break;
    const std::string& status = (*job)->status;
    if (status == "ready" && ready == Ready::kReturn) return {};
    const bool cancel = status == "ready" && ready == Ready::kCancel;
    if (status != told && (status == "pending" || cancel)) {
      // The end of block-stream flushes nothing, and a header that reaches the disk before the
      // tables do would be the end of the image.
      auto flushed = (*job)->type == "stream" ? flush() : Result<void>();
      if (!flushed) return flushed;
      auto done = monitor_.execute(cancel ? "job-cancel" : "job-finalize", {{"id", kJob}}, time());
      if (!done) return std::move(done).error();
      told = status;
      continue;
    }
    if (deadline.passed()) {
      return Error(ErrorCode::kTimedOut,
                   std::string("the job '") + kJob + "' is still '" + status + "'")
          .with_hint("it goes on in QEMU, and the next command goes on from there");
    }
    auto event = monitor_.next_event(deadline.earlier_of(Deadline::in(kAskAgain)), stop_);
    if (event) {
      if (auto problem = failure_in(*event)) failure = std::move(problem);
    } else if (event.error().code() != ErrorCode::kTimedOut) {
      return std::move(event).error();
    }
  }
  // What it said last, which came before it was gone.
  for (auto event = monitor_.next_event(Deadline::in(base::Millis(0)), stop_); event;
       event = monitor_.next_event(Deadline::in(base::Millis(0)), stop_)) {
    if (auto problem = failure_in(*event)) failure = std::move(problem);
  }
  if (failure) return Error(ErrorCode::kIo, "QEMU's job failed: " + *failure);
  return {};
}

}  // namespace holdfast::host::snapshot
