// SPDX-License-Identifier: MIT
#include "core/window.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <iterator>
#include <map>
#include <stdexcept>
#include <utility>

namespace holdfast::core {

namespace {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Result;

// An error of this resource under another code: as it is, if it names the resource already.
Error resource_error(ErrorCode code, const std::string& verb, const std::string& name,
                     const Error& cause) {
  std::string text = cause.text();
  if (text.find("'" + name + "'") == std::string::npos) {
    text = "unable to " + verb + " '" + name + "': " + text;
  }
  return Error(code, std::move(text)).with_hint(cause.hint());
}

// Adds to what has gone wrong before, if anything has.
void add(std::optional<Error>& errors, Error error) {
  if (errors) {
    errors = std::move(*errors).also(std::move(error));
  } else {
    errors = std::move(error);
  }
}

// For so long those that stall nobody wait for the others at a thaw: a release takes milliseconds,
// and one that hangs must not cost anybody else his own.
constexpr base::Millis kHeadStart{100};

bool is_misconfiguration(const Error& error) {
  return error.code() == ErrorCode::kMisconfigured || error.code() == ErrorCode::kConfiguration;
}

}  // namespace

std::string make_uuid() {
  std::array<unsigned char, 16> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    throw std::runtime_error("no random numbers to be had");
  }
  bytes[6] = static_cast<unsigned char>((bytes[6] & 0x0FU) | 0x40U);
  bytes[8] = static_cast<unsigned char>((bytes[8] & 0x3FU) | 0x80U);
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    std::array<char, 4> digits{};
    (void)std::snprintf(digits.data(), digits.size(), "%02x", bytes.at(i));
    text += digits.data();
  }
  return text;
}

Window::Window(Resources& resources, const base::Clock& clock, Bell& bell, std::string boot,
               std::uint64_t sequence, base::Millis max_hold, WindowKind kind)
    : resources_(resources), clock_(clock), bell_(bell), max_hold_(max_hold) {
  record_.kind = kind;
  record_.boot = std::move(boot);
  describe(clock, sequence);
  for (const auto& resource : resources_) {
    ResourceRecord entry;
    entry.name = resource->traits().name;
    entry.plugin = resource->traits().plugin;
    entry.required = resource->traits().required;
    record_.resources.push_back(std::move(entry));
  }
}

void Window::describe(const base::Clock& clock, std::uint64_t sequence) {
  record_.id = make_uuid();
  record_.sequence = sequence;
  record_.begin = now(clock);
}

void Window::note_times() {
  for (const auto& resource : resources_) {
    if (resource->finished()) entry_of(*resource).times = resource->times();
  }
}

WindowRecord Window::renew(std::uint64_t sequence) {
  WindowRecord old = record_;
  record_.phases.clear();
  record_.held.reset();
  describe(clock_, sequence);
  for (ResourceRecord& entry : record_.resources)
    entry.position_at_thaw.clear();
  return old;
}

ResourceRecord& Window::entry_of(const Resource& resource) {
  const auto found = std::find_if(
      record_.resources.begin(), record_.resources.end(),
      [&](const ResourceRecord& entry) { return entry.name == resource.traits().name; });
  if (found == record_.resources.end()) throw std::logic_error("a resource without a record");
  return *found;
}

std::vector<std::vector<Resource*>> Window::groups() const {
  std::map<std::int64_t, std::vector<Resource*>> by_order;
  for (const auto& resource : resources_) {
    if (resource->is_in_window()) by_order[resource->traits().order].push_back(resource.get());
  }
  std::vector<std::vector<Resource*>> groups;
  groups.reserve(by_order.size());
  for (auto& [order, group] : by_order)
    groups.push_back(std::move(group));
  return groups;
}

std::vector<std::vector<Resource*>> Window::waves() const {
  std::vector<std::vector<Resource*>> waves;
  for (std::vector<Resource*>& group : groups()) {
    const auto stalling = std::stable_partition(
        group.begin(), group.end(), [](const Resource* one) { return !one->stalls_writers(); });
    waves.emplace_back(group.begin(), stalling);
    waves.emplace_back(stalling, group.end());
  }
  return waves;
}

std::vector<Resource*> Window::held_ones() const {
  std::vector<Resource*> held;
  for (const auto& resource : resources_) {
    if (resource->finished() && resource->is_held()) held.push_back(resource.get());
  }
  return held;
}

Result<void> Window::judge(const std::vector<Resource*>& called, const Awaited& awaited,
                           const std::string& verb) {
  std::optional<Error> failure;
  std::optional<Error> consequence;
  for (Resource* resource : called) {
    const std::string& name = resource->traits().name;
    const auto outcome = resource->outcome();
    if (outcome) continue;
    const Error& cause = outcome.error();
    const ErrorCode code = awaited.timed_out            ? ErrorCode::kFreezeTimeout
                           : is_misconfiguration(cause) ? ErrorCode::kMisconfigured
                                                        : ErrorCode::kHoldFailed;
    Error error = resource_error(code, verb, name, cause);
    entry_of(*resource).verdict = verdict_of(error);
    if (!resource->traits().required) {
      survived_.push_back(std::move(error));
      // Rolled back while the others go on; let_go() waits for it.
      if (resource->finished())
        resource->begin_let_go(Deadline::in(std::chrono::seconds(1)), Resource::Disks::kThawed);
    } else if (cause.code() == ErrorCode::kCancelled) {
      // Stopped because another one failed: beside that one, not news.
      add(consequence, std::move(error));
    } else {
      add(failure, std::move(error));
    }
  }
  if (!awaited.stuck.empty()) {
    stuck_ = true;
    const std::string& name = awaited.stuck.front()->traits().name;
    if (!failure) {
      failure = Error(awaited.timed_out ? ErrorCode::kFreezeTimeout : ErrorCode::kHoldFailed,
                      "unable to " + verb + " '" + name + "': it does not answer");
    }
  }
  if (awaited.stopped && !failure) {
    return Error(ErrorCode::kHoldFailed, "the freeze was given up, as asked");
  }
  if (failure) return std::move(*failure);
  if (consequence) return std::move(*consequence);
  return {};
}

Result<void> Window::prepare(const Patience& patience) {
  std::vector<Resource*> called;
  const api::Window window = described();
  for (const auto& resource : resources_) {
    resource->begin_prepare(window, Deadline(patience.deadline));
    called.push_back(resource.get());
  }
  auto judged = judge(called, await_calls(called, bell_, patience), "prepare");
  note_times();
  return judged;
}

Result<void> Window::hold(const Patience& patience) {
  const api::Window window = described();
  for (const auto& wave : waves()) {
    std::vector<Resource*> called;
    for (Resource* resource : wave) {
      // One that is being rolled back, or has been since, has dropped out.
      if (!resource->finished() || !resource->is_in_window()) continue;
      resource->begin_hold(window, Deadline(patience.deadline));
      called.push_back(resource);
    }
    auto judged = judge(called, await_calls(called, bell_, patience), "hold");
    for (Resource* resource : called) {
      if (!resource->finished() || !resource->is_held()) continue;
      ResourceRecord& entry = entry_of(*resource);
      entry.identity = resource->identity();
      entry.position = resource->position();
      entry.details = resource->details();
      entry.warnings = resource->warnings();
      entry.held_at = resource->held_at();
    }
    note_times();
    if (!judged) return judged;
  }
  for (const auto& resource : resources_) {
    // Held first, and gone again while the others were being held.
    if (resource->is_held() && resource->lost_at()) {
      return Error(ErrorCode::kHoldFailed,
                   "unable to hold '" + resource->traits().name + "': its session closed");
    }
  }
  return {};
}

Result<void> Window::judge_checks(const std::vector<Resource*>& called, const Awaited& awaited) {
  stuck_ = stuck_ || !awaited.stuck.empty();
  note_times();
  std::optional<Error> failure;
  for (Resource* resource : called) {
    ResourceRecord& entry = entry_of(*resource);
    entry.lost_at = resource->lost_at();
    const auto outcome = resource->check_outcome();
    if (outcome) {
      if (resource->finished()) entry.position_at_thaw = resource->checked_position();
      continue;
    }
    Error error =
        resource_error(ErrorCode::kHoldLost, "prove the hold of", entry.name, outcome.error());
    entry.verdict = verdict_of(error);
    add(failure, std::move(error));
  }
  // What is required and was not even asked has not been shown to be held.
  for (const auto& resource : resources_) {
    if (!resource->traits().required) continue;
    if (std::find(called.begin(), called.end(), resource.get()) != called.end()) continue;
    Error error(ErrorCode::kHoldLost, "'" + resource->traits().name + "' is not held");
    entry_of(*resource).verdict = verdict_of(error);
    add(failure, std::move(error));
  }
  if (failure) return std::move(*failure);
  return {};
}

Result<void> Window::verify(const Patience& patience) {
  const std::vector<Resource*> called = held_ones();
  for (Resource* resource : called)
    resource->begin_check(Deadline(patience.deadline));
  return judge_checks(called, await_calls(called, bell_, patience));
}

Result<void> Window::take_over(const Patience& patience) {
  const std::vector<Resource*> called = held_ones();
  for (Resource* resource : called)
    resource->begin_take_over(described(), Deadline(patience.deadline));
  return judge_checks(called, await_calls(called, bell_, patience));
}

Result<void> Window::verify_and_let_go(const Patience& patience, base::MonoTime let_go_by) {
  // With several groups, one has to be released before the next: that is let_go()'s.
  if (groups().size() != 1) return verify(patience);
  const std::vector<Resource*> called = held_ones();
  std::vector<Resource*> stalling;
  std::vector<Resource*> quiet;
  std::partition_copy(called.begin(), called.end(), std::back_inserter(stalling),
                      std::back_inserter(quiet),
                      [](const Resource* one) { return one->stalls_writers(); });
  for (Resource* resource : stalling)
    resource->begin_check_and_let_go(Deadline(patience.deadline), Deadline(let_go_by));
  if (!quiet.empty()) {
    const auto until = std::min(std::chrono::steady_clock::now() + kHeadStart, patience.deadline);
    (void)bell_.wait_until(until, [&] { return busy_ones(stalling).empty(); });
  }
  for (Resource* resource : quiet)
    resource->begin_check_and_let_go(Deadline(patience.deadline), Deadline(let_go_by));
  Patience whole = patience;
  whole.deadline = let_go_by;
  auto verified = judge_checks(called, await_calls(called, bell_, whole));
  std::optional<Error> failure;
  if (!verified) failure = std::move(verified).error();
  for (const Resource* resource : called) {
    // One that has not come back is tried, and judged, once more by let_go().
    if (!resource->finished()) continue;
    if (auto error = judge_release(*resource)) add(failure, std::move(*error));
  }
  if (failure) return std::move(*failure);
  return {};
}

void Window::note_release(const Resource& resource) {
  ResourceRecord& entry = entry_of(resource);
  if (!resource.finished() || !entry.held_at) return;
  entry.released_at = resource.released_at();
  entry.release = resource.release_report();
}

std::optional<Error> Window::judge_release(const Resource& resource) {
  ResourceRecord& entry = entry_of(resource);
  const auto outcome = resource.outcome();
  note_release(resource);
  if (outcome) return std::nullopt;
  Error error = resource_error(ErrorCode::kReleaseFailed, "release", entry.name, outcome.error());
  if (entry.verdict.status == 0) entry.verdict = verdict_of(error);
  return error;
}

std::vector<Resource*> Window::busy_ones(const std::vector<Resource*>& resources) {
  std::vector<Resource*> busy;
  std::copy_if(resources.begin(), resources.end(), std::back_inserter(busy),
               [](const Resource* resource) { return !resource->finished(); });
  return busy;
}

void Window::begin_let_go(const std::vector<Resource*>& resources, base::MonoTime end,
                          Resource::Disks disks) {
  for (Resource* resource : resources) {
    if (resource->finished() && resource->is_in_window())
      resource->begin_let_go(Deadline(end), disks);
  }
}

Result<void> Window::let_go(base::MonoTime end, base::Millis grace, Resource::Disks disks) {
  std::optional<Error> failure;
  auto groups_left = groups();
  while (!groups_left.empty()) {
    const std::vector<Resource*> group = std::move(groups_left.back());
    const auto share = static_cast<std::int64_t>(groups_left.size());
    groups_left.pop_back();
    const auto now = std::chrono::steady_clock::now();
    const auto fair = now + std::max<std::chrono::steady_clock::duration>(end - now, grace) / share;
    // A call that is still going on comes first: two at once is more than a plugin bears. But
    // nobody else waits for it, since it may never come back.
    const std::vector<Resource*> busy = busy_ones(group);
    begin_let_go(group, fair, disks);
    (void)await_calls(busy, bell_, {now, grace, {}, false});
    const auto end_of_late = std::max(fair, std::chrono::steady_clock::now() + grace);
    begin_let_go(busy, end_of_late, disks);
    const Awaited awaited =
        await_calls(group, bell_, {busy.empty() ? fair : end_of_late, grace, {}, false});
    stuck_ = stuck_ || !awaited.stuck.empty();
    for (Resource* resource : group) {
      ResourceRecord& entry = entry_of(*resource);
      const auto outcome = resource->outcome();
      note_release(*resource);
      // That a session which has gone could not be told to let go is no second trouble.
      if (outcome || entry.lost_at) continue;
      Error error =
          resource_error(ErrorCode::kReleaseFailed, "release", entry.name, outcome.error());
      if (entry.verdict.status == 0) entry.verdict = verdict_of(error);
      add(failure, std::move(error));
    }
  }
  note_times();
  if (failure) return std::move(*failure);
  return {};
}

}  // namespace holdfast::core
