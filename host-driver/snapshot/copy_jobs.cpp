// SPDX-License-Identifier: MIT
#include "snapshot/copy_jobs.h"

#include <fcntl.h>

#include <cerrno>

#include "base/text.h"
#include "base/unique_fd.h"
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
constexpr std::string_view kJobSuffix = "-copy";
constexpr std::string_view kTargetSuffix = "-target";

Deadline command_time() {
  return Deadline::in(kCommandTime);
}

std::string target_node(const CopyJob& job) {
  return job.name + std::string(kTargetSuffix);
}

bool is_ours(std::string_view name, std::string_view prefix, std::string_view suffix) {
  return name.starts_with(prefix) && name.ends_with(suffix);
}

}  // namespace

Result<void> CopyJobs::attach(const CopyJob& job, const std::string& path, Deadline deadline) {
  const base::UniqueFd fd(::open(path.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid()) {
    return base::errno_error(errno, "unable to open '" + base::printable(path) + "'");
  }
  // The set's own number is QEMU's choice; `opaque` is how a later run finds it.
  const auto set =
      monitor_.execute_with_fd("add-fd", {{"opaque", target_node(job)}}, fd.get(), deadline);
  if (!set) return set.error();
  const auto number = base::integer_member(*set, "fdset-id");
  if (!number) return number.error();
  // No lock: the set keeps the file open after the node has gone (a paused machine's until it
  // runs), and nobody else knows of the image yet. Zeroes become holes, as with qemu-img convert.
  auto added = monitor_.execute("blockdev-add",
                                {{"driver", "qcow2"},
                                 {"node-name", target_node(job)},
                                 {"file",
                                  {{"driver", "file"},
                                   {"filename", "/dev/fdset/" + std::to_string(*number)},
                                   {"locking", "off"}}},
                                 {"detect-zeroes", "on"},
                                 {"backing", nullptr}},
                                deadline);
  if (!added) return std::move(added).error();
  return {};
}

std::string CopyJobs::job_id(const CopyJob& job) {
  return job.name + std::string(kJobSuffix);
}

Json CopyJobs::arguments(const CopyJob& job) {
  Json arguments{{"job-id", job_id(job)},       {"device", job.source_node},
                 {"target", target_node(job)},  {"on-source-error", "report"},
                 {"on-target-error", "report"}, {"speed", job.rate_limit},
                 {"auto-finalize", true},       {"auto-dismiss", false}};
  if (job.compression != image::Compression::kNone) arguments["compress"] = true;
  if (job.bitmap.empty()) {
    arguments["sync"] = "full";
    return arguments;
  }
  arguments["sync"] = "bitmap";
  arguments["bitmap"] = job.bitmap;
  // never: the bitmap stays as it is, for another try if this run fails.
  arguments["bitmap-mode"] = "never";
  return arguments;
}

Json CopyJobs::held_back(const CopyJob& job) {
  Json held = arguments(job);
  // A byte per second: it copies one piece and then sleeps for days (QEMU: block_copy(), which
  // leaves what the guest is about to overwrite out of account).
  held["speed"] = 1;
  return held;
}

Result<void> CopyJobs::hurry(const CopyJob& job, Deadline deadline) {
  auto set = monitor_.execute("block-job-set-speed",
                              {{"device", job_id(job)}, {"speed", job.rate_limit}}, deadline);
  if (set) return {};
  const auto found = qmp::find_job(monitor_, job_id(job), deadline);
  const bool at_work = found && *found && (*found)->status == "running";
  if (found && !at_work) return {};
  return std::move(set).error();
}

Result<void> CopyJobs::start(const CopyJob& job, Deadline deadline) {
  auto started = monitor_.execute("blockdev-backup", arguments(job), deadline);
  if (!started) return std::move(started).error();
  return {};
}

Result<void> CopyJobs::follow(const CopyJob& job, Deadline deadline, const std::stop_token& stop,
                              const CopyProgress& progress) {
  const std::string id = job_id(job);
  auto ended = qmp::wait_for_job(monitor_, id, true, deadline, stop, [&](const qmp::Job& now) {
    if (progress && now.total > 0) {
      progress(100.0 * static_cast<double>(now.done) / static_cast<double>(now.total));
    }
  });
  if (!ended) return std::move(ended).error();
  if (auto dismissed = qmp::dismiss_job(monitor_, id, command_time()); !dismissed) {
    return dismissed;
  }
  if (ended->error) return Error(ErrorCode::kRefused, "blockdev-backup: " + *ended->error);
  auto closed = monitor_.execute("blockdev-del", {{"node-name", target_node(job)}}, command_time());
  if (!closed) return std::move(closed).error();
  return close_sets(target_node(job));
}

Result<void> CopyJobs::end(const std::string& id, Deadline deadline, const std::stop_token& stop) {
  auto job = qmp::find_job(monitor_, id, command_time());
  if (!job) return std::move(job).error();
  if (!*job) return {};
  if ((*job)->status != "concluded") {
    // It may conclude by itself in between; then there is nothing left to cancel.
    (void)monitor_.execute("job-cancel", {{"id", id}}, command_time());
    auto ended = qmp::wait_for_job(monitor_, id, true, deadline, stop);
    if (!ended) return std::move(ended).error();
  }
  return qmp::dismiss_job(monitor_, id, command_time());
}

Result<void> CopyJobs::close_sets(std::string_view prefix) {
  const auto sets = monitor_.execute("query-fdsets", Json::object(), command_time());
  if (!sets) return sets.error();
  if (!sets->is_array()) return Error(ErrorCode::kProtocol, "query-fdsets: not a list");
  for (const Json& set : *sets) {
    const auto number = base::integer_member(set, "fdset-id");
    const auto fds = base::array_member(set, "fds");
    if (!number || !fds || (*fds)->empty()) continue;
    if (!base::string_member((*fds)->front(), "opaque").value_or("").starts_with(prefix)) continue;
    auto removed = monitor_.execute("remove-fd", {{"fdset-id", *number}}, command_time());
    if (!removed) return std::move(removed).error();
  }
  return {};
}

Result<std::vector<std::string>> CopyJobs::sweep(std::string_view prefix, Deadline deadline,
                                                 const std::stop_token& stop) {
  std::vector<std::string> done;
  const auto jobs = qmp::query_jobs(monitor_, command_time());
  if (!jobs) return jobs.error();
  for (const qmp::Job& job : *jobs) {
    if (!is_ours(job.id, prefix, kJobSuffix)) continue;
    if (auto ended = end(job.id, deadline, stop); !ended) return std::move(ended).error();
    done.push_back("ended the copy '" + base::printable(job.id, 40) + "'");
  }
  const auto nodes = qmp::read_nodes(monitor_, command_time());
  if (!nodes) return nodes.error();
  for (const qmp::Node& node : *nodes) {
    if (!is_ours(node.name, prefix, kTargetSuffix)) continue;
    auto closed = monitor_.execute("blockdev-del", {{"node-name", node.name}}, command_time());
    if (!closed) return std::move(closed).error();
  }
  if (auto closed = close_sets(prefix); !closed) return std::move(closed).error();
  return done;
}

}  // namespace holdfast::host::snapshot
