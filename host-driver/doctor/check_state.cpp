// SPDX-License-Identifier: MIT
//
// What earlier runs have left in the state directory.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/text.h"
#include "base/unique_fd.h"
#include "doctor/doctor.h"
#include "run/state.h"
#include "snapshot/journal.h"

namespace holdfast::host::doctor {

namespace {

constexpr const char* kArea = "state";

// Asked without taking or making the lock.
bool run_is_at_work(const config::Settings& settings) {
  const std::string path = settings.state_directory + "/" + settings.vm + ".lock";
  const base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  return fd.valid() && ::flock(fd.get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

}  // namespace

Findings check_state(const Patient& patient) {
  const config::Settings& settings = patient.settings;
  const std::string shown = "'" + base::printable(settings.state_directory) + "'";
  struct stat status {};
  if (::stat(settings.state_directory.c_str(), &status) != 0) {
    if (errno == ENOENT) return {{Level::kOk, kArea, "new", shown + " will be made"}};
    return {problem(kArea, "unusable", base::errno_error(errno, "unable to look at " + shown),
                    "set state-directory")};
  }
  Findings findings;
  if (!S_ISDIR(status.st_mode) || ::access(settings.state_directory.c_str(), W_OK) != 0) {
    findings.push_back({Level::kProblem, kArea, "not-writable", "unable to write to " + shown,
                        "run this as root, or set state-directory"});
  }
  if (run_is_at_work(settings)) {
    findings.push_back({Level::kOk, kArea, "at-work", "a run is at work on this machine now"});
    return findings;
  }
  const auto journal = snapshot::JournalFile(run::journal_path(settings)).load();
  if (!journal) {
    findings.push_back(
        problem(kArea, "journal", journal.error(), "holdfast recover " + settings.vm));
  } else if (*journal) {
    findings.push_back({Level::kWarning, kArea, "interrupted",
                        "an earlier run was interrupted and left something behind",
                        "the next backup clears up, or now: holdfast recover " + settings.vm});
  }
  if (findings.empty()) findings.push_back({Level::kOk, kArea, "clean", "no run left anything"});
  return findings;
}

}  // namespace holdfast::host::doctor
