// SPDX-License-Identifier: MIT
#include "qmp/jobs.h"

#include <algorithm>

#include "base/text.h"

namespace holdfast::host::qmp {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;

namespace {

constexpr base::Millis kCommandTime{10000};
constexpr base::Millis kAskAgain{1000};

std::uint64_t progress_of(const Json& job, std::string_view key) {
  const auto number = base::integer_member(job, key);
  return number && *number > 0 ? static_cast<std::uint64_t>(*number) : 0;
}

}  // namespace

Result<std::vector<Job>> query_jobs(Client& client, Deadline deadline) {
  auto answer = client.execute("query-jobs", Json::object(), deadline);
  if (!answer) return std::move(answer).error();
  if (!answer->is_array()) return Error(ErrorCode::kProtocol, "query-jobs: not a list");
  std::vector<Job> jobs;
  for (const Json& entry : *answer) {
    auto id = base::string_member(entry, "id");
    auto status = base::string_member(entry, "status");
    if (!id) return std::move(id).error();
    if (!status) return std::move(status).error();
    Job job;
    job.id = std::move(*id);
    job.status = base::printable(*status, 40);
    job.type = base::string_member(entry, "type").value_or("");
    job.done = progress_of(entry, "current-progress");
    job.total = progress_of(entry, "total-progress");
    if (auto problem = base::string_member(entry, "error"); problem) {
      job.error = base::printable(*problem);
    }
    jobs.push_back(std::move(job));
  }
  return jobs;
}

Result<std::optional<Job>> find_job(Client& client, const std::string& id, Deadline deadline) {
  auto jobs = query_jobs(client, deadline);
  if (!jobs) return std::move(jobs).error();
  const auto found =
      std::find_if(jobs->begin(), jobs->end(), [&](const Job& job) { return job.id == id; });
  if (found == jobs->end()) return std::optional<Job>();
  return std::optional<Job>(std::move(*found));
}

Result<Job> wait_for_job(Client& client, const std::string& id, bool until_concluded,
                         Deadline deadline, const std::stop_token& stop,
                         const JobProgress& progress) {
  for (;;) {
    auto job = find_job(client, id, Deadline::in(kCommandTime));
    if (!job) return std::move(job).error();
    if (!*job) return Error(ErrorCode::kNotFound, "the job '" + id + "' is gone");
    if (progress) progress(**job);
    const std::string& status = (*job)->status;
    if (status == "concluded" || (!until_concluded && status == "ready")) return std::move(**job);
    if (deadline.passed()) {
      return Error(ErrorCode::kTimedOut, "the job '" + id + "' is still '" + status + "'");
    }
    // Any event will do: the state is asked for again, at the latest after kAskAgain.
    const Deadline next = deadline.earlier_of(Deadline::in(kAskAgain));
    auto event = client.next_event(next, stop);
    if (!event && event.error().code() != ErrorCode::kTimedOut) return std::move(event).error();
  }
}

Result<void> complete_job(Client& client, const std::string& id, Deadline deadline) {
  auto done = client.execute("job-complete", {{"id", id}}, deadline);
  if (!done) return std::move(done).error();
  return {};
}

Result<void> dismiss_job(Client& client, const std::string& id, Deadline deadline) {
  auto done = client.execute("job-dismiss", {{"id", id}}, deadline);
  if (!done) return std::move(done).error();
  return {};
}

}  // namespace holdfast::host::qmp
