// SPDX-License-Identifier: MIT
#include "exec/local_executor.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "base/file.h"
#include "base/text.h"
#include "exec/trust.h"

namespace holdfast::exec {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Millis;
using base::ProcessOutcome;
using base::Result;

namespace {

constexpr int kNotSupported = 2;
constexpr std::size_t kMostPrograms = 256;
constexpr mode_t kDebtMode = 0600;
constexpr std::size_t kDebtLimit = 256;

struct CloseDirectory {
  void operator()(DIR* directory) const { (void)::closedir(directory); }
};

bool was_killed(const ProcessOutcome& outcome) {
  switch (outcome.ending) {
    case ProcessOutcome::Ending::kSignalled:
    case ProcessOutcome::Ending::kTimedOut:
    case ProcessOutcome::Ending::kCancelled:
      return true;
    case ProcessOutcome::Ending::kExited:
    case ProcessOutcome::Ending::kNotStarted:
      return false;
  }
  return true;
}

Result<void> time_left(const Call& call, const std::string& what) {
  if (call.stop.stop_requested()) {
    return Error(ErrorCode::kCancelled, "unable to run '" + base::printable(what) + "': cancelled");
  }
  if (call.deadline.passed()) {
    return Error(ErrorCode::kTimedOut,
                 "unable to run '" + base::printable(what) + "': no time was left for it");
  }
  return {};
}

// Keeps the first error and hangs the later ones onto it.
void keep(std::optional<Error>& first, Error error) {
  first = first ? std::move(*first).also(std::move(error)) : std::move(error);
}

}  // namespace

bool is_leftover(const std::string& file_name) {
  constexpr std::array<std::string_view, 7> kSuffixes{"~",        ".bak",     ".orig",  ".rpmnew",
                                                      ".rpmorig", ".rpmsave", ".sample"};
  const std::string_view name = file_name;
  return name.starts_with('.') || name.find(".dpkg-") != std::string_view::npos ||
         std::any_of(kSuffixes.begin(), kSuffixes.end(),
                     [&](std::string_view suffix) { return name.ends_with(suffix); });
}

LocalExecutor::LocalExecutor(ExecSettings settings, std::string resource,
                             base::ProcessRunner& processes, Trust trust, std::string debt_file)
    : settings_(std::move(settings)),
      resource_(std::move(resource)),
      processes_(processes),
      trust_(trust),
      debt_file_(std::move(debt_file)) {}

Result<std::vector<std::string>> LocalExecutor::programs() const {
  if (!settings_.program.empty()) return std::vector<std::string>{settings_.program};
  std::vector<std::string> found;
  const std::unique_ptr<DIR, CloseDirectory> directory(::opendir(settings_.directory.c_str()));
  if (!directory) {
    // As with the guest agent's dispatcher: no directory, nothing to run.
    if (errno == ENOENT) return found;
    return base::errno_error(errno,
                             "unable to read '" + base::printable(settings_.directory) + "'");
  }
  // A directory that others can write to would let them choose what runs.
  if (trust_ == Trust::kRootOnly) {
    if (auto trusted = require_trusted(settings_.directory); !trusted) {
      return std::move(trusted).error();
    }
  }
  for (;;) {
    errno = 0;
    // One DIR of our own: readdir(3) is safe on it.
    const dirent* entry = ::readdir(directory.get());
    if (entry == nullptr) break;
    const std::string name = static_cast<const char*>(entry->d_name);
    if (is_leftover(name)) continue;
    std::string path = settings_.directory + "/" + name;
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) continue;
    // The mode, not access(2): a program that this user may not run is a failure, not an absence.
    if ((status.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)) != 0) found.push_back(std::move(path));
    if (found.size() > kMostPrograms) {
      return Error(ErrorCode::kTooLarge, "unable to use '" + base::printable(settings_.directory) +
                                             "': it holds more than " +
                                             std::to_string(kMostPrograms) + " programs");
    }
  }
  if (errno != 0) {
    return base::errno_error(errno,
                             "unable to read '" + base::printable(settings_.directory) + "'");
  }
  std::sort(found.begin(), found.end());
  return found;
}

Result<void> LocalExecutor::admit(const std::string& program) const {
  if (trust_ == Trust::kRootOnly) {
    if (auto trusted = require_trusted(program); !trusted) return trusted;
  }
  struct stat status {};
  if (::stat(program.c_str(), &status) != 0 || ::access(program.c_str(), X_OK) != 0) {
    return base::errno_error(errno, "unable to run '" + base::printable(program) + "'");
  }
  if (!S_ISREG(status.st_mode)) {
    return Error(ErrorCode::kPermission,
                 "unable to run '" + base::printable(program) + "': not a program");
  }
  return {};
}

LocalExecutor::Run LocalExecutor::run(const std::string& program, const char* verb,
                                      const Call& call, Deadline deadline) {
  const Deadline end = Deadline::in(settings_.timeout).earlier_of(deadline);
  base::ProcessSpec spec{
      .argv = {program}, .environment = std::nullopt, .deadline = end, .stop = {}, .on_output = {}};
  spec.argv.insert(spec.argv.end(), settings_.arguments.begin(), settings_.arguments.end());
  spec.argv.emplace_back(verb);
  spec.environment = {
      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      "HOLDFAST_WINDOW=" + call.window,
      "HOLDFAST_RESOURCE=" + resource_,
      std::string("HOLDFAST_VERB=") + verb,
      "HOLDFAST_DEADLINE_MS=" + std::to_string(end.remaining().count()),
  };
  spec.output_limit = 4096;
  std::stop_source source;
  spec.stop = source.get_token();
  {
    const std::lock_guard lock(mutex_);
    running_ = source;
  }
  const std::stop_callback forward(call.stop, [&source] { source.request_stop(); });
  return {processes_.run(spec), program + " " + verb};
}

void LocalExecutor::interrupt() {
  const std::lock_guard lock(mutex_);
  running_.request_stop();
}

void LocalExecutor::owe(const std::string& program) {
  if (std::find(owed_.begin(), owed_.end(), program) == owed_.end()) owed_.push_back(program);
}

Result<void> LocalExecutor::owe_all() {
  auto all = programs();
  if (!all) return std::move(all).error();
  for (const std::string& program : *all)
    owe(program);
  return {};
}

Result<void> LocalExecutor::note_debt() const {
  if (debt_file_.empty()) return {};
  // For /run, which a reboot empties: after one there is nothing to be thawed.
  return base::write_file(debt_file_, window_ + "\n", kDebtMode, base::Durable::kNo);
}

Result<void> LocalExecutor::pay_old_debt(const Call& call) {
  if (debt_file_.empty() || owes()) return {};
  const auto window = base::read_file(debt_file_, kDebtLimit);
  if (!window) return {};
  if (auto all = owe_all(); !all) return all;
  return thaw(Call{
      .window = base::printable(base::trimmed(*window)), .deadline = call.deadline, .stop = {}});
}

Result<bool> LocalExecutor::run_optional(const char* verb, const Call& call) {
  // Hooks of the guest agent know freeze and thaw alone.
  if (settings_.program.empty()) return false;
  if (auto admitted = admit(settings_.program); !admitted) return std::move(admitted).error();
  if (auto left = time_left(call, settings_.program); !left) return std::move(left).error();
  const Run done = run(settings_.program, verb, call, call.deadline);
  if (done.outcome.succeeded()) return true;
  if (done.outcome.ending == ProcessOutcome::Ending::kExited &&
      done.outcome.status == kNotSupported) {
    return false;
  }
  if (was_killed(done.outcome) && !call.window.empty()) owe(settings_.program);
  return done.outcome.as_error(done.what);
}

Result<std::string> LocalExecutor::probe(const Call& call) {
  if (auto paid = pay_old_debt(call); !paid) return std::move(paid).error();
  auto all = programs();
  if (!all) return std::move(all).error();
  for (const std::string& program : *all) {
    if (auto admitted = admit(program); !admitted) return std::move(admitted).error();
  }
  if (!settings_.directory.empty() && ::access(settings_.directory.c_str(), F_OK) != 0) {
    return "'" + base::printable(settings_.directory) + "' does not exist: nothing will be run";
  }
  if (auto checked = run_optional("check", call); !checked) return std::move(checked).error();
  return std::string();
}

Result<void> LocalExecutor::prepare(const Call& call) {
  window_ = call.window;
  if (auto noted = note_debt(); !noted) return noted;
  const auto all = programs();
  has_programs_ = !all || !all->empty();
  auto done = run_optional("prepare", call);
  if (!done) return std::move(done).error();
  if (*done) owe(settings_.program);
  return {};
}

Result<void> LocalExecutor::freeze_one(const std::string& program, const Call& call) {
  if (auto admitted = admit(program); !admitted) return admitted;
  if (auto left = time_left(call, program); !left) return left;
  const Run done = run(program, "freeze", call, call.deadline);
  if (done.outcome.succeeded()) {
    owe(program);
    return {};
  }
  if (was_killed(done.outcome)) {
    owe(program);
  } else {
    // It said no, and so has undone its own work, what it did at `prepare` included.
    std::erase(owed_, program);
  }
  return done.outcome.as_error(done.what);
}

Result<void> LocalExecutor::freeze(const Call& call) {
  window_ = call.window;
  auto all = programs();
  if (!all) return std::move(all).error();
  if (auto noted = note_debt(); !noted) return noted;
  for (const std::string& program : *all) {
    auto frozen = freeze_one(program, call);
    if (frozen) continue;
    Error error = std::move(frozen).error();
    if (owes() && !call.stop.stop_requested() && !call.deadline.passed()) {
      if (auto undone = thaw(call); !undone) error = std::move(error).also(undone.error());
    }
    return error;
  }
  return {};
}

Result<void> LocalExecutor::check(const Call& call) {
  auto done = run_optional("check", call);
  if (!done) {
    return Error(ErrorCode::kHoldLost,
                 "'" + base::printable(settings_.program) + "' does not confirm that it held still")
        .caused_by(std::move(done).error());
  }
  return {};
}

Result<void> LocalExecutor::thaw(const Call& call) {
  std::optional<Error> first;
  while (!owed_.empty()) {
    const std::string program = owed_.back();
    // An equal share of what is left: one that hangs must not cost the others their thaw.
    const auto share = static_cast<Millis::rep>(owed_.size());
    owed_.pop_back();
    if (auto admitted = admit(program); !admitted) {
      keep(first, std::move(admitted).error());
      continue;
    }
    const Millis part = std::max(call.deadline.remaining() / share, Millis{1});
    const Run done = run(program, "thaw", call, Deadline::in(part));
    if (!done.outcome.succeeded()) keep(first, done.outcome.as_error(done.what));
  }
  if (!debt_file_.empty()) (void)::unlink(debt_file_.c_str());
  if (first) return std::move(*first);
  return {};
}

void LocalExecutor::rollback(Deadline deadline) {
  (void)thaw(Call{.window = window_, .deadline = deadline, .stop = {}});
}

}  // namespace holdfast::exec
