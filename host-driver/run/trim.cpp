// SPDX-License-Identifier: MIT
//
// Before the freeze, where it is wanted: the guest gives back what its filesystems do not use. What
// becomes of it is told; the backup depends on it only where the administrator says so.
#include "qga/fstrim.h"
#include "run/backup_run.h"

namespace holdfast::host::run {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;

namespace {

constexpr std::string_view kNo = "no";
constexpr std::string_view kRequire = "require";

Json paths_json(const qga::TrimReport& report) {
  Json paths = Json::array();
  for (const qga::TrimmedPath& trimmed : report.paths) {
    paths.push_back({{"path", trimmed.path},
                     {"bytes", trimmed.bytes ? Json(*trimmed.bytes) : Json()},
                     {"error", trimmed.error.empty() ? Json() : Json(trimmed.error)}});
  }
  return paths;
}

// What should have been trimmed and was not, in one line; the manifest has each. A mount point that
// knows no such thing is no matter as long as another one does.
std::string untrimmed_in(const qga::TrimReport& report) {
  std::string text;
  std::size_t failed = 0;
  std::size_t trimmed = 0;
  for (const qga::TrimmedPath& path : report.paths) {
    if (path.bytes) ++trimmed;
    if (path.error.empty() || path.error == qga::kTrimNotSupported) continue;
    if (++failed == 1) text = "'" + path.path + "': " + path.error;
  }
  if (failed > 1) text += "; and " + std::to_string(failed - 1) + " more";
  if (failed == 0 && trimmed == 0 && !report.paths.empty()) {
    text = "none of the guest's disks supports it";
  }
  return text;
}

}  // namespace

Result<void> BackupRun::trim() {
  if (settings_.trim == kNo) return {};
  observer_.step("trim");
  const base::MonoTime begin = std::chrono::steady_clock::now();
  auto report =
      machine_.agent()
          ? qga::trim(*machine_.agent(), Deadline::in(settings_.trim_timeout), stop_)
          : Result<qga::TrimReport>(Error(ErrorCode::kUnreachable, machine_.evidence().not_tried));
  if (stop_.stop_requested()) return Error(ErrorCode::kCancelled, "interrupted");
  const auto lasted = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now() - begin);
  const qga::TrimReport none;
  const qga::TrimReport& trimmed = report ? *report : none;
  trim_ = {{"duration_ms", lasted.count()},
           {"bytes", trimmed.bytes},
           {"error", report ? Json() : Json(report.error().text())},
           {"paths", paths_json(trimmed)},
           {"paths_left_out", trimmed.left_out}};
  const std::string problem = report ? untrimmed_in(trimmed) : report.error().text();
  if (problem.empty()) return {};
  if (settings_.trim == kRequire) {
    return Error(report ? ErrorCode::kGuest : report.error().code(),
                 "unable to trim the guest's filesystems: " + problem)
        .with_hint("the disks need discard=unmap; 'trim = yes' goes on without");
  }
  observer_.note("the guest's filesystems were not all trimmed: " + problem + ", continuing");
  if (!report && report.error().code() == ErrorCode::kTimedOut) return wait_for_agent();
  return {};
}

// It is busy trimming, and no freeze gets through to it before that is done.
Result<void> BackupRun::wait_for_agent() {
  auto in_step = machine_.agent()->sync(Deadline::in(settings_.freeze_timeout), stop_);
  if (in_step) return {};
  if (stop_.stop_requested()) return Error(ErrorCode::kCancelled, "interrupted");
  const ErrorCode code = in_step.error().code();
  return machine_.do_without_agent(Error(code, "the guest agent is still busy with guest-fstrim")
                                       .with_hint("a longer trim-timeout, or 'trim = no'")
                                       .caused_by(std::move(in_step).error()));
}

}  // namespace holdfast::host::run
