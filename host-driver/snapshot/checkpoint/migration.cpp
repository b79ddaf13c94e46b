// SPDX-License-Identifier: MIT
#include "snapshot/checkpoint/migration.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <chrono>
#include <utility>

#include "base/duration.h"
#include "base/look_until.h"
#include "base/text.h"
#include "snapshot/checkpoint/write_tracking.h"

namespace holdfast::host::snapshot {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Json;
using base::Millis;
using base::Result;

namespace {

constexpr Millis kCommandTime{15000};
// Between two looks at what most often announces itself by an event.
constexpr Millis kSoon{10};
constexpr Millis kAskAgain{200};
// Without a page written, of what nobody waits for but the guest.
constexpr Millis kStuck{10000};
constexpr const char* kLive = "background-snapshot";
constexpr const char* kEvents = "events";
// Of a descriptor in QEMU.
constexpr const char* kFile = "holdfast-memory";
// QEMU's default is 128 MiB per second. Higher numbers than this overflow in some versions.
constexpr std::int64_t kNoLimit = std::int64_t{1} << 50U;

Deadline command_time() {
  return Deadline::in(kCommandTime);
}

Json capability(const char* name, bool state) {
  return {{"capability", name}, {"state", state}};
}

Result<void> set_capabilities(qmp::Client& monitor, Json capabilities, Deadline deadline) {
  auto set = monitor.execute("migrate-set-capabilities",
                             {{"capabilities", std::move(capabilities)}}, deadline);
  if (!set) return std::move(set).error();
  return {};
}

Result<std::string> run_state(qmp::Client& monitor, Deadline deadline) {
  const auto status = monitor.execute("query-status", Json::object(), deadline);
  if (!status) return status.error();
  return base::string_member(*status, "status");
}

// A migration that has completed or failed is over for query-migrate before QEMU has cleaned up
// after it, which depends on the capabilities as they are then (QEMU: migration/migration.c,
// migrate_fd_cleanup()). It closes the file at the end of that, and only then is the lock gone that
// came with its descriptor. A file that is not there is nobody's.
Result<void> await_closed(const std::string& path, Deadline deadline) {
  const base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid()) return {};
  const bool closed =
      base::look_until(deadline, kSoon, [&] { return ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0; });
  if (closed) return {};
  return Error(ErrorCode::kTimedOut, "QEMU still has '" + base::printable(path) + "' open");
}

// How long something has been as it is.
class AtRest {
 public:
  [[nodiscard]] bool for_longer_than(Millis span, std::int64_t now) {
    if (std::exchange(seen_, now) != now) since_ = std::chrono::steady_clock::now();
    return std::chrono::steady_clock::now() - since_ > span;
  }

 private:
  std::int64_t seen_ = -1;
  base::MonoTime since_ = std::chrono::steady_clock::now();
};

Error not_saved(const std::string& why) {
  return Error(ErrorCode::kUnsupported,
               "the memory of this machine cannot be saved: " + base::printable(why, 400))
      .with_hint("see METHODS in holdfast(1) for others, which keep the disks alone");
}

}  // namespace

bool Migration::State::under_way() const {
  return !status.empty() && status != "none" && status != "completed" && !failed();
}

Result<Migration::State> Migration::query(Deadline deadline) {
  const auto answer = monitor_.execute("query-migrate", Json::object(), deadline);
  if (!answer) return answer.error();
  State state;
  state.status = base::string_member(*answer, "status").value_or("");
  state.problem = base::printable(base::string_member(*answer, "error-desc").value_or(""), 400);
  const auto ram = base::object_member(*answer, "ram");
  if (!ram) return state;
  const auto number = [&](const char* key) { return base::integer_member(**ram, key).value_or(0); };
  state.pages_written = number("normal") + number("duplicate") > 0;
  state.total = number("total");
  state.remaining = number("remaining");
  return state;
}

Result<void> Migration::check(Deadline deadline) {
  const auto answer = monitor_.execute("query-migrate", Json::object(), deadline);
  if (!answer) return answer.error();
  if (const auto reasons = base::array_member(*answer, "blocked-reasons"); reasons) {
    for (const Json& reason : **reasons)
      return not_saved(reason.is_string() ? reason.get<std::string>() : base::to_line(reason));
  }
  const auto state = query(deadline);
  if (!state) return state.error();
  if (state->under_way()) return Error(ErrorCode::kBusy, "the machine is being migrated");
  return {};
}

Result<void> Migration::check_live(Deadline deadline) {
  MemoryNote now;
  if (auto read = read_settings(now, deadline); !read) return read;
  if (now.background_snapshot) return {};
  if (auto set = set_capabilities(monitor_, Json::array({capability(kLive, true)}), deadline);
      !set) {
    return set;
  }
  return set_capabilities(monitor_, Json::array({capability(kLive, false)}), deadline);
}

Result<void> Migration::read_settings(MemoryNote& note, Deadline deadline) {
  const auto parameters = monitor_.execute("query-migrate-parameters", Json::object(), deadline);
  if (!parameters) return parameters.error();
  const auto bandwidth = base::integer_member(*parameters, "max-bandwidth");
  if (!bandwidth) return bandwidth.error();
  note.max_bandwidth = *bandwidth;
  const auto capabilities =
      monitor_.execute("query-migrate-capabilities", Json::object(), deadline);
  if (!capabilities) return capabilities.error();
  if (!capabilities->is_array()) return Error(ErrorCode::kProtocol, "capabilities: not a list");
  for (const Json& one : *capabilities) {
    const std::string name = base::string_member(one, "capability").value_or("");
    const bool state = base::bool_member(one, "state").value_or(false);
    if (name == kLive) note.background_snapshot = state;
    if (name == kEvents) note.events = state;
  }
  return {};
}

Result<void> Migration::set_up(bool live, Deadline deadline) {
  auto limit = monitor_.execute("migrate-set-parameters", {{"max-bandwidth", kNoLimit}}, deadline);
  if (!limit) return std::move(limit).error();
  return set_capabilities(
      monitor_, Json::array({capability(kLive, live), capability(kEvents, true)}), deadline);
}

Result<void> Migration::reset(const MemoryNote& note, Deadline deadline) {
  auto limit =
      monitor_.execute("migrate-set-parameters", {{"max-bandwidth", note.max_bandwidth}}, deadline);
  if (!limit) return std::move(limit).error();
  return set_capabilities(
      monitor_,
      Json::array({capability(kLive, note.background_snapshot), capability(kEvents, note.events)}),
      deadline);
}

Result<void> Migration::start(base::UniqueFd file, Deadline deadline) {
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    return base::errno_error(errno, "unable to lock the file of the memory");
  }
  auto given = monitor_.execute_with_fd("getfd", {{"fdname", kFile}}, file.get(), deadline);
  // From here on it is open in QEMU alone.
  file.reset();
  if (!given) return std::move(given).error();
  auto begun = monitor_.execute("migrate", {{"uri", std::string("fd:") + kFile}}, deadline);
  if (!begun) return std::move(begun).error();
  return {};
}

Result<void> Migration::wait(Deadline deadline, Millis at_most, const std::stop_token& stop) {
  auto event = monitor_.next_event(deadline.earlier_of(Deadline::in(at_most)), stop);
  if (!event && event.error().code() != ErrorCode::kTimedOut) return std::move(event).error();
  return {};
}

Result<void> Migration::await_running(Deadline deadline) {
  for (;;) {
    const auto status = run_state(monitor_, command_time());
    if (!status) return status.error();
    if (*status == "running") return {};
    const auto state = query(command_time());
    if (!state) return state.error();
    if (state->failed()) {
      return Error(ErrorCode::kRefused, "the memory could not be saved: " + state->problem)
          .with_hint("'memory = stopped' lets the machine stand still for it");
    }
    // Pages are written when all the rest is safe, and not before: from then on it may run.
    if (state->pages_written || !state->under_way()) {
      const auto resumed = let_run(monitor_, command_time());
      if (!resumed) return resumed.error();
      return {};
    }
    if (deadline.passed()) {
      return Error(ErrorCode::kTimedOut, "timed out waiting until the machine runs again");
    }
    if (auto waited = wait(deadline, kSoon, {}); !waited) return waited;
  }
}

Result<void> Migration::await_written(Deadline deadline, Millis at_rest,
                                      const std::stop_token& stop,
                                      const std::function<void(double)>& progress) {
  AtRest rest;
  for (;;) {
    const auto state = query(command_time());
    if (!state) return state.error();
    if (state->status == "completed") return {};
    if (!state->under_way()) {
      return Error(ErrorCode::kRefused,
                   "unable to save the memory: " +
                       (state->problem.empty() ? "it was cancelled" : state->problem));
    }
    if (progress && state->total > 0) {
      progress(100.0 * static_cast<double>(state->total - state->remaining) /
               static_cast<double>(state->total));
    }
    if (deadline.passed()) {
      return Error(ErrorCode::kTimedOut, "timed out writing the memory");
    }
    if (rest.for_longer_than(at_rest, state->remaining)) {
      return Error(ErrorCode::kTimedOut,
                   "QEMU has written nothing of the memory for " + base::format_duration(at_rest))
          .with_hint("does the storage of the repository hang? see memory-timeout");
    }
    if (auto waited = wait(deadline, kAskAgain, stop); !waited) return waited;
  }
}

Result<void> Migration::set_free() {
  const auto freed = end_write_tracking(qemu_);
  if (freed) return {};
  return base::wrap(freed.error(), "the guest's memory is still write-protected")
      .with_hint("it hangs: 'holdfast recover' as root may set it free, else it must be reset");
}

Result<bool> Migration::end(const MemoryNote& note, Deadline deadline) {
  auto state = query(command_time());
  if (!state && note.live) {
    // QEMU's own thread may hang in a write to the guest's memory.
    if (auto freed = set_free(); !freed) return std::move(state).error().also(freed.error());
  }
  if (!state) return std::move(state).error();
  const bool was_under_way = state->under_way();
  if (was_under_way && !note.live) {
    auto asked = monitor_.execute("migrate_cancel", Json::object(), command_time());
    if (!asked) return std::move(asked).error();
  }
  AtRest rest;
  bool freed = false;
  while (state->under_way()) {
    if (note.live && !freed && rest.for_longer_than(kStuck, state->remaining)) {
      if (auto set = set_free(); !set) return std::move(set).error();
      freed = true;
      deadline = deadline.earlier_of(Deadline::in(kStuck));
    }
    if (deadline.passed()) {
      return Error(ErrorCode::kTimedOut, "QEMU is still writing the machine's memory");
    }
    if (auto waited = wait(deadline, kSoon, {}); !waited) return std::move(waited).error();
    state = query(command_time());
    if (!state) return std::move(state).error();
  }
  // Where it was never taken by `migrate`.
  (void)monitor_.execute("closefd", {{"fdname", kFile}}, command_time());
  if (auto closed = await_closed(note.file, deadline); !closed) return std::move(closed).error();
  if (!note.live || !state->failed()) return was_under_way;
  if (auto set = set_free(); !set) return std::move(set).error();
  return was_under_way;
}

Result<bool> let_run(qmp::Client& monitor, Deadline deadline) {
  for (;;) {
    const auto status = run_state(monitor, deadline);
    if (!status) return status.error();
    // `finish-migrate` is on its way to one of the others.
    if (*status == "paused" || *status == "postmigrate") break;
    if (*status != "finish-migrate") return false;
    if (deadline.passed()) return Error(ErrorCode::kTimedOut, "the machine is still migrated");
    (void)monitor.next_event(deadline.earlier_of(Deadline::in(kSoon)), {});
  }
  auto gone_on = monitor.execute("cont", Json::object(), deadline);
  if (!gone_on) return std::move(gone_on).error();
  return true;
}

}  // namespace holdfast::host::snapshot
