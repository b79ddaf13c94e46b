// SPDX-License-Identifier: MIT
//
// QEMU's background jobs by the job-* interface (block-job-* is deprecated since 10.1). Jobs are
// started with auto-dismiss=false, so that their error can be read after they ended, even by
// another process after a crash.
//
//   created -> running -> ready -> (job-complete) -> pending -> concluded -> (job-dismiss)
//
// Threads and errors: as Client. Waiting follows JOB_STATUS_CHANGE events; the state itself is
// always asked for, so that a missed event costs a second and not a hang.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "qmp/client.h"

namespace holdfast::host::qmp {

// The error of a job that was ended by somebody, or with another one of its group that failed: what
// strerror(3) says of ECANCELED.
inline constexpr std::string_view kCancelledJob = "Operation canceled";

struct Job {
  std::string id;
  std::string type;
  std::string status;
  std::uint64_t done = 0;
  std::uint64_t total = 0;
  // Why it failed; set once it is concluded, if it did.
  std::optional<std::string> error;
};

[[nodiscard]] base::Result<std::vector<Job>> query_jobs(Client& client, base::Deadline deadline);

// The job, or nothing if there is none of this id.
[[nodiscard]] base::Result<std::optional<Job>> find_job(Client& client, const std::string& id,
                                                        base::Deadline deadline);

using JobProgress = std::function<void(const Job&)>;

// Waits until the job is ready or concluded, and returns it so. kNotFound if it went away.
[[nodiscard]] base::Result<Job> wait_for_job(Client& client, const std::string& id,
                                             bool until_concluded, base::Deadline deadline,
                                             const std::stop_token& stop,
                                             const JobProgress& progress = {});

[[nodiscard]] base::Result<void> complete_job(Client& client, const std::string& id,
                                              base::Deadline deadline);
[[nodiscard]] base::Result<void> dismiss_job(Client& client, const std::string& id,
                                             base::Deadline deadline);

}  // namespace holdfast::host::qmp
