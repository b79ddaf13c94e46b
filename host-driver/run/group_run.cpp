// SPDX-License-Identifier: MIT
#include "run/group_run.h"

#include <algorithm>
#include <atomic>
#include <system_error>
#include <thread>

#include "base/duration.h"
#include "base/text.h"
#include "repository/group.h"
#include "repository/paths.h"
#include "run/evidence_json.h"
#include "run/meeting.h"

namespace holdfast::host::run {

using base::Error;
using base::ErrorCode;
using base::Json;
using base::Millis;
using base::Result;

namespace {

// The longest that any of them may keep the others waiting within a window.
Millis patience_of(const std::vector<GroupMember>& members) {
  Millis longest{0};
  for (const GroupMember& member : members) {
    const config::Settings& settings = member.request.settings;
    const Millis memory = settings.method == "checkpoint" ? settings.memory_timeout : Millis{0};
    longest = std::max(longest, settings.freeze_timeout + settings.snapshot_timeout + memory +
                                    settings.agent_timeout);
  }
  return longest;
}

}  // namespace

GroupRun::GroupRun(std::string name, std::vector<GroupMember> members, std::size_t parallel,
                   base::ProcessRunner& processes, std::stop_token stop,
                   const std::stop_token& abandon)
    : name_(std::move(name)),
      parallel_(parallel),
      stop_(std::move(stop)),
      patience_(patience_of(members)) {
  for (const GroupMember& member : members)
    names_.push_back(member.request.settings.vm);
  for (GroupMember& member : members) {
    member.request.group = {name_, names_};
    outcome_.members.push_back({.vm = member.request.settings.vm});
    unsettled_.emplace_back();
    runs_.push_back(std::make_unique<BackupRun>(std::move(member.request), processes,
                                                member.observer, stop_, abandon));
  }
}

GroupOutcome GroupRun::run() {
  begin_ = std::chrono::system_clock::now();
  const bool done = prepare() && take() && copy_and_settle() && publish();
  outcome_.bound = done;
  for (std::size_t i = 0; i < runs_.size(); ++i) {
    MemberOutcome& member = outcome_.members[i];
    member.may_be_frozen = runs_[i]->guest_may_be_frozen();
    if (done && unsettled_[i]) member.error = runs_[i]->left_in_qemu(std::move(*unsettled_[i]));
  }
  if (!done) take_back();
  return std::move(outcome_);
}

bool GroupRun::side_by_side(Way way, const Step& step, const std::function<void()>& give_up) {
  const std::size_t limit = std::min(way.limit, runs_.size());
  std::atomic<std::size_t> next{limit};
  std::atomic<bool> failed{false};
  const auto work = [&](std::size_t first) {
    for (std::size_t i = first; i < runs_.size(); i = next++) {
      // What comes to nothing is not begun.
      if (failed) return;
      auto done = step(i);
      if (done) continue;
      outcome_.members[i].error = std::move(done).error();
      give_up();
      failed = true;
    }
  };
  std::vector<std::jthread> threads;
  std::size_t begun = 1;
  try {
    for (; begun < limit; ++begun)
      threads.emplace_back(work, begun);
  } catch (const std::system_error& problem) {
    // One after the other will do, unless they wait for each other.
    if (way.in_step) {
      outcome_.error = base::errno_error(problem.code().value(), "unable to start a thread");
      give_up();
      failed = true;
    }
  }
  work(0);
  for (; begun < limit; ++begun)
    work(begun);
  threads.clear();
  return !failed;
}

bool GroupRun::in_order(const Step& step) {
  for (std::size_t i = 0; i < runs_.size(); ++i) {
    auto done = step(i);
    if (done) continue;
    outcome_.members[i].error = std::move(done).error();
    return false;
  }
  return true;
}

bool GroupRun::prepare() {
  // In one order by all: of two groups that have machines in common one gets them all.
  if (!in_order([&](std::size_t i) { return runs_[i]->take_locks(); })) return false;
  auto id = repository::make_backup_id(std::chrono::system_clock::now());
  if (!id) {
    outcome_.error = std::move(id).error();
    return false;
  }
  outcome_.id = std::move(*id);
  return in_order([&](std::size_t i) { return runs_[i]->prepare(outcome_.id); }) && have_room() &&
         in_order([&](std::size_t i) { return runs_[i]->stand_by(); });
}

bool GroupRun::have_room() {
  std::uint64_t needed = 0;
  for (const auto& run : runs_)
    needed += run->needed_bytes();
  const std::string& path = runs_.front()->repository().path();
  const auto free = repository::free_space(path);
  if (!free) {
    outcome_.error = free.error();
  } else if (*free < needed) {
    outcome_.error =
        Error(ErrorCode::kNoSpace, "unable to back up all of them into '" + base::printable(path) +
                                       "': " + base::format_bytes(*free) + " free, " +
                                       base::format_bytes(needed) + " may be needed");
  }
  return !outcome_.error;
}

bool GroupRun::take() {
  Meeting meeting(runs_.size(), patience_);
  const bool taken = side_by_side(
      {.limit = runs_.size(), .in_step = true},
      [&](std::size_t i) { return runs_[i]->take_together(meeting); }, [&] { meeting.break_up(); });
  together_ = meeting.together();
  if (taken && meeting.timed_out()) {
    // uncovered(4): of a host that keeps a thread from running; Meeting itself is tested
    outcome_.error = Error(ErrorCode::kTimedOut, "the machines did not come together within " +
                                                     base::format_duration(patience_) +
                                                     ": one of them was too slow to freeze");
    return false;
  }
  if (taken && meeting.broken()) {
    // uncovered(2): whoever breaks a meeting up has an error of its own
    outcome_.error = Error(ErrorCode::kInternal, "the window was given up for no reason");
    return false;
  }
  return taken;
}

bool GroupRun::copy_and_settle() {
  std::stop_source given_up;
  const std::stop_callback passed_on(stop_, [&] { given_up.request_stop(); });
  const auto one = [&](std::size_t i) -> Result<void> {
    if (auto copied = runs_[i]->copy(given_up.get_token()); !copied) return copied;
    // Its guest's writes need not go on gathering in an overlay until the others are copied.
    if (auto settled = runs_[i]->settle(); !settled) unsettled_[i] = std::move(settled).error();
    return {};
  };
  const bool copied = side_by_side({.limit = parallel_}, one, [&] { given_up.request_stop(); });
  if (copied || stop_.stop_requested()) return copied;
  for (MemberOutcome& member : outcome_.members) {
    // It ended for another one's sake.
    if (member.error && member.error->code() == ErrorCode::kCancelled) member.error.reset();
  }
  return false;
}

bool GroupRun::publish() {
  const bool published = in_order([&](std::size_t i) -> Result<void> {
    auto backup = runs_[i]->publish_unbound();
    if (!backup) return std::move(backup).error();
    outcome_.members[i].backup = std::move(*backup);
    return {};
  });
  if (!published || !bind()) return false;
  for (const auto& run : runs_)
    run->finish();
  return true;
}

bool GroupRun::bind() {
  outcome_.record = record();
  const std::string& path = runs_.front()->repository().path();
  auto bound = repository::bind(path, outcome_.id, outcome_.record);
  if (bound) return true;
  Error error =
      base::wrap(std::move(bound).error(), "unable to complete the group '" + name_ + "'");
  // The record may be there all the same. As long as it may, what is published stays: then it is
  // all of the group, or, after a crash, none of it.
  if (auto forgotten = repository::forget_group(path, outcome_.id); !forgotten) {
    error = std::move(error).also(std::move(forgotten).error());
    for (MemberOutcome& member : outcome_.members)
      member.backup.reset();
  }
  outcome_.error = std::move(error);
  return false;
}

void GroupRun::take_back() {
  const auto one = [&](std::size_t i) -> Result<void> {
    MemberOutcome& member = outcome_.members[i];
    if (member.backup) {
      member.backup.reset();
      // What is left of it is no backup, and the next run removes it.
      (void)runs_[i]->withdraw();
    }
    const bool own = member.error.has_value();
    member.to_blame = own;
    Error error = own ? std::move(*member.error)
                      : Error(ErrorCode::kCancelled, "the group '" + name_ + "' failed");
    error = runs_[i]->fail(std::move(error));
    // That another one failed is no news; what could not be cleared up for it is.
    if (own || !error.cleanup_errors().empty()) member.error = std::move(error);
    return {};
  };
  (void)side_by_side({.limit = runs_.size()}, one, [] {});
}

Json GroupRun::record() const {
  return {{"schema", 1},
          {"id", outcome_.id},
          {"name", name_},
          {"begin", base::format_time(begin_)},
          {"end", base::format_time(std::chrono::system_clock::now())},
          {"window", {{"together_ms", milliseconds(together_)}}},
          {"members", names_}};
}

}  // namespace holdfast::host::run
