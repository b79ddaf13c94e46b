// SPDX-License-Identifier: MIT
#include "command/many_runs.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <iostream>
#include <system_error>

#include "base/text.h"

namespace holdfast::host::command {

using base::Error;
using base::ErrorCode;

namespace {

constexpr const char* kRecoverHint = "the next backup clears up, or: holdfast recover ";

// Nothing if the process ended as its report says.
std::optional<Error> bad_ending(int ending, const RunReport& report, bool reported) {
  if (WIFSIGNALED(ending)) {
    return Error(ErrorCode::kProcessFailed,
                 "the run was killed by signal " + std::to_string(WTERMSIG(ending)))
        .with_hint(kRecoverHint + base::printable(report.vm, 64));
  }
  const int status = WEXITSTATUS(ending);
  if (reported && status == report.status) return {};
  return Error(ErrorCode::kProcessFailed,
               "the run ended with status " + std::to_string(status) +
                   (reported ? ", not as it had reported" : " and without a report"))
      .with_hint(kRecoverHint + base::printable(report.vm, 64));
}

}  // namespace

std::vector<std::string> child_words(const Invocation& invocation, const std::string& vm) {
  std::vector<std::string> words{"backup", "--config-directory=" + invocation.config_directory};
  if (invocation.keep_failed) words.emplace_back("--keep-failed");
  if (invocation.full) words.emplace_back("--full");
  if (invocation.new_repository) words.emplace_back("--new-repository");
  for (const base::Setting& setting : invocation.overrides)
    words.push_back("--" + setting.key + "=" + setting.value);
  // A name that looks like an option is still a name, if not one of a machine.
  words.emplace_back("--");
  words.push_back(vm);
  return words;
}

ManyRuns::ManyRuns(const Invocation& invocation, const Environment& environment, int limit)
    : invocation_(invocation),
      limit_(static_cast<std::size_t>(limit)),
      stop_(environment.stop),
      abandon_(environment.abandon),
      woken_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      board_(!invocation.quiet && ui::terminal_attached()) {
  if (!woken_.valid()) {
    throw std::system_error(errno, std::generic_category(), "unable to make an eventfd");
  }
}

std::vector<RunReport> ManyRuns::run(const std::vector<std::string>& vms) {
  for (const std::string& vm : vms) {
    waiting_.push_back(reports_.size());
    reports_.push_back({.vm = vm, .status = -1, .error = {}, .manifest = {}});
  }
  const auto wake = [this] {
    const std::uint64_t one = 1;
    (void)!::write(woken_.get(), &one, sizeof one);
  };
  const std::stop_callback on_stop(stop_, wake);
  const std::stop_callback on_abandon(abandon_, wake);
  for (start_waiting(); !running_.empty(); start_waiting()) {
    wait_for_news();
    pass_signals_on();
  }
  return std::move(reports_);
}

void ManyRuns::start_waiting() {
  while (!waiting_.empty() && (stop_.stop_requested() || running_.size() < limit_)) {
    const std::size_t index = waiting_.front();
    waiting_.pop_front();
    start_one(index);
  }
}

void ManyRuns::start_one(std::size_t index) {
  RunReport& report = reports_[index];
  if (stop_.stop_requested()) {
    report.error = Error(ErrorCode::kCancelled, "interrupted before it began");
    return finish(index);
  }
  auto child = Child::start(child_words(invocation_, report.vm));
  if (!child) {
    report.error = std::move(child).error();
    return finish(index);
  }
  running_.push_back({index, std::move(*child)});
}

void ManyRuns::wait_for_news() {
  std::vector<pollfd> watched{{woken_.get(), POLLIN, 0}};
  for (const Running& running : running_) {
    watched.push_back({running.child.events_fd(), POLLIN, 0});
    watched.push_back({running.child.process_fd(), POLLIN, 0});
  }
  if (::poll(watched.data(), watched.size(), -1) < 0) return;
  std::uint64_t count = 0;
  (void)!::read(woken_.get(), &count, sizeof count);
  std::vector<Running> still_running;
  for (std::size_t i = 0; i < running_.size(); ++i) {
    const bool news = watched[2 * i + 1].revents != 0;
    const bool ended = watched[2 * i + 2].revents != 0;
    // What it wrote before it ended is read before it is taken for ended.
    if (news || ended) take_events(running_[i]);
    if (ended) {
      conclude(running_[i]);
    } else {
      still_running.push_back(std::move(running_[i]));
    }
  }
  running_ = std::move(still_running);
}

void ManyRuns::pass_signals_on() {
  if (stop_.stop_requested() && !std::exchange(stop_passed_, true)) {
    for (Running& running : running_)
      running.child.stop();
  }
  if (abandon_.stop_requested() && !std::exchange(abandon_passed_, true)) {
    for (Running& running : running_)
      running.child.stop();
  }
}

void ManyRuns::take_events(Running& running) {
  if (running.child.events_fd() < 0) return;
  RunReport& report = reports_[running.index];
  auto events = running.child.read_events();
  if (!events) {
    report.error = base::wrap(std::move(events).error(), "unable to follow the run");
    return;
  }
  for (Event& event : *events) {
    if (event.kind != Event::Kind::kEnd) {
      show(event, report.vm);
      continue;
    }
    std::string vm = std::move(report.vm);
    report = std::move(event.report);
    report.vm = std::move(vm);
  }
}

void ManyRuns::conclude(Running& running) {
  RunReport& report = reports_[running.index];
  auto bad = bad_ending(running.child.wait(), report, report.status >= 0);
  if (bad) {
    report.error = report.error ? std::move(*bad).also(*report.error) : std::move(*bad);
    report.status = -1;
  }
  finish(running.index);
}

void ManyRuns::show(const Event& event, const std::string& vm) {
  switch (event.kind) {
    case Event::Kind::kStep:
      return board_.step(vm, event.text);
    case Event::Kind::kProgress:
      return board_.update(vm, event.text, event.percent);
    case Event::Kind::kNote:
      if (invocation_.quiet) return;
      board_.clear();
      return say(vm + ": " + event.text);
    case Event::Kind::kEnd:
      return;
  }
}

void ManyRuns::finish(std::size_t index) {
  RunReport& report = reports_[index];
  if (report.status < 0) report.status = base::host_exit_status(report.error->code());
  board_.remove(report.vm);
  const bool done = !report.manifest.is_null();
  if (done && !invocation_.json && !invocation_.quiet) {
    std::cout << summary_of(report) + "\n" << std::flush;
  }
  if (report.error) complain(base::wrap(*report.error, base::printable(report.vm, 64)));
}

}  // namespace holdfast::host::command
