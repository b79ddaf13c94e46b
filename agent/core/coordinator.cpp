// SPDX-License-Identifier: MIT
#include "core/coordinator.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "base/duration.h"
#include "base/text.h"
#include "core/await_calls.h"
#include "core/mounts.h"

namespace holdfast::core {

namespace {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Json;
using base::Millis;
using base::Result;
using namespace std::chrono_literals;

constexpr Millis kCheckLimit = 10s;

Error expired_error(Millis max_hold) {
  return {ErrorCode::kWindowExpired, "the window had expired: no thaw came within max-hold (" +
                                         base::format_duration(max_hold) + ")"};
}

}  // namespace

Coordinator::Coordinator(CoordinatorSettings settings, CoordinatorWorld world, Resources resources)
    : settings_(std::move(settings)), world_(world), resources_(std::move(resources)) {
  if (world_.journal.left_open()) {
    state_ = State::kInterrupted;
    const auto window = base::string_member(*world_.journal.left_open(), "window");
    world_.log.error("an earlier holdfastd ended during window {}: its holds are lost",
                     base::printable(window.value_or("unknown"), 64));
  }
  if (auto last = world_.journal.recent(1); !last.empty()) shown_.last = std::move(last.front());
  for (const auto& resource : resources_)
    resource->start();
}

Coordinator::~Coordinator() {
  try {
    stop();
  } catch (...) {
    // Out of memory at worst: the sessions end with their plugins, and what they hold with them.
    must_end_ = true;
  }
}

// -- the machine -------------------------------------------------------------------------------

void Coordinator::drive(Event event, const std::stop_token& given_up) {
  for (;;) {
    const State state = state_;
    const auto transition = step(state, event);
    if (!transition) {
      throw std::logic_error("'" + std::string(name_of(event)) + "' in state '" +
                             std::string(name_of(state)) + "'");
    }
    change(transition->next);
    const auto next = perform(transition->action, given_up);
    if (!next) return;
    event = *next;
  }
}

void Coordinator::change(State next) {
  const State last = state_.exchange(next);
  if (last == next) return;
  world_.log.debug("{}changed '{}' -> '{}'", run_tag(), name_of(last), name_of(next));
  const std::lock_guard lock(shown_mutex_);
  shown_.window = window_ ? window_->id() : std::string();
  shown_.since = now(world_.clock);
}

std::optional<Event> Coordinator::perform(Action action, const std::stop_token& given_up) {
  switch (action) {
    case Action::kNone:
      return std::nullopt;
    case Action::kPrepare:
      return prepare(given_up);
    case Action::kHold:
      return hold(given_up);
    case Action::kRecord:
      return record();
    case Action::kRenew:
      return renew(given_up);
    case Action::kVerify:
      verify();
      return Event::kDone;
    case Action::kExpire:
      thaw_filesystems();
      let_go();
      return Event::kDone;
    case Action::kLetGo:
      let_go();
      return Event::kDone;
    case Action::kConclude:
      conclude();
      return std::nullopt;
    case Action::kReport:
      report();
      return std::nullopt;
  }
  throw std::logic_error("an action without a performance");
}

// -- what others ask for -----------------------------------------------------------------------

Result<void> Coordinator::freeze(const std::stop_token& given_up) {
  settle();
  budget(settings_.freeze_timeout);
  failure_.reset();
  world_.ring.hold();
  drive(Event::kFreeze, given_up);
  if (auto failure = std::exchange(failure_, std::nullopt)) return std::move(*failure);
  return {};
}

Result<void> Coordinator::thaw() {
  budget(settings_.thaw_timeout);
  failure_.reset();
  drive(Event::kThaw, {});
  if (auto failure = std::exchange(failure_, std::nullopt)) return std::move(*failure);
  return {};
}

void Coordinator::thaw_seen() {
  if (state_ != State::kHeld) return;
  budget(settings_.thaw_timeout);
  failure_.reset();
  thaw_seen_ = true;
  window_->record().thaw_seen = now(world_.clock);
  drive(Event::kThawSeen, {});
  thaw_seen_ = false;
}

void Coordinator::expire() {
  if (state_ != State::kHeld || world_.clock.now() < expires_at_) return;
  budget(settings_.thaw_timeout);
  failure_ = expired_error(settings_.max_hold);
  drive(Event::kDeadline, {});
}

void Coordinator::abandon() {
  if (state_ != State::kHeld) return;
  budget(settings_.thaw_timeout);
  failure_ = Error(ErrorCode::kHoldLost,
                   "the holds were let go: who asked for the freeze did not wait for the answer");
  drive(Event::kStop, {});
}

void Coordinator::stop() {
  budget(settings_.thaw_timeout);
  if (state_ == State::kHeld) {
    failure_ = Error(ErrorCode::kDaemonRestarted, "holdfastd was stopped during the window");
  }
  drive(Event::kStop, {});
  settle();
}

Result<void> Coordinator::check(const std::stop_token& given_up) {
  if (is_open(state_)) {
    return Error(ErrorCode::kBusy, "unable to check: a window is open");
  }
  std::vector<Resource*> called;
  for (const auto& resource : resources_) {
    resource->begin_probe(Deadline::in(kCheckLimit));
    called.push_back(resource.get());
  }
  const auto until = std::chrono::steady_clock::now() + kCheckLimit;
  const Awaited awaited = await_calls(called, world_.bell, {until, 250ms, given_up, false});
  if (!awaited.stuck.empty()) must_end_ = true;
  std::optional<Error> failure;
  for (Resource* resource : called) {
    const auto outcome = resource->outcome();
    if (outcome || !resource->traits().required) continue;
    Error error = base::wrap(outcome.error(), "unable to use '" + resource->traits().name + "'");
    failure = failure ? std::move(*failure).also(std::move(error)) : std::move(error);
  }
  if (failure) return std::move(*failure);
  return {};
}

// -- the steps of a freeze ---------------------------------------------------------------------

void Coordinator::budget(Millis span) {
  budget_end_ = std::chrono::steady_clock::now() + span;
  grace_ =
      settings_.grace.count() > 0 ? settings_.grace : std::clamp<Millis>(span / 20, 50ms, 250ms);
  // Kept back from the calls: two graces for those that hang, and time to let go of the rest.
  reserve_ = std::min<Millis>(span / 4, 2s);
}

Patience Coordinator::patience(const std::stop_token& given_up) const {
  return {budget_end_ - reserve_, grace_, given_up, true};
}

Event Coordinator::fail(Error error) {
  const Event event = error.code() == ErrorCode::kFreezeTimeout ? Event::kDeadline : Event::kFail;
  failure_ = std::move(error);
  return event;
}

Result<void> Coordinator::arm() {
  const PhaseTimer phase(window_->record(), world_.clock, "arm");
  expires_at_ = world_.clock.now() + settings_.max_hold;
  world_.dead_man.arm(expires_at_);
  if (settings_.without_filesystems) return {};
  if (kind_ == WindowKind::kFreeze) world_.thaw_watch.begin();
  auto mounts = settings_.filesystems.empty()
                    ? freezable_here()
                    : Result<std::vector<std::string>>(settings_.filesystems);
  if (!mounts) return std::move(mounts).error();
  disarm_owed_ = true;
  auto armed =
      world_.filesystems.arm(*mounts, settings_.max_hold, Deadline(budget_end_ - reserve_));
  window_->record().filesystems = std::move(*mounts);
  return armed;
}

Event Coordinator::prepare(const std::stop_token& given_up) {
  const bool drill = kind_ == WindowKind::kDrill;
  survivors_noted_ = 0;
  window_.emplace(resources_, world_.clock, world_.bell, world_.journal.boot(),
                  drill ? 0 : world_.journal.next_sequence(), settings_.max_hold, kind_);
  world_.log.info("{}{}: {} resources", run_tag(), drill ? "drill" : "freeze", resources_.size());
  if (auto armed = arm(); !armed) {
    return fail(Error(ErrorCode::kHoldFailed, "unable to arm the dead-man of the filesystems")
                    .caused_by(std::move(armed).error()));
  }
  {
    const PhaseTimer phase(window_->record(), world_.clock, "prepare");
    if (auto prepared = window_->prepare(patience(given_up)); !prepared) {
      return fail(std::move(prepared).error());
    }
  }
  note_survivors();
  const PhaseTimer phase(window_->record(), world_.clock, "sync");
  // A drill's record is a file of its own.
  if (auto room =
          drill ? Result<void>() : world_.journal.make_room(Deadline(budget_end_ - reserve_));
      !room) {
    return fail(Error(ErrorCode::kFreezeTimeout, "unable to make room for the freeze record")
                    .caused_by(std::move(room).error()));
  }
  if (settings_.without_filesystems) return Event::kDone;
  const Deadline deadline(budget_end_ - reserve_);
  if (auto synced = world_.filesystems.sync(deadline); !synced) {
    return fail(Error(deadline.passed() ? ErrorCode::kFreezeTimeout : ErrorCode::kHoldFailed,
                      "unable to flush the filesystems")
                    .caused_by(std::move(synced).error()));
  }
  return Event::kDone;
}

Event Coordinator::hold(const std::stop_token& given_up) {
  const PhaseTimer phase(window_->record(), world_.clock, "hold");
  if (auto held = window_->hold(patience(given_up)); !held) return fail(std::move(held).error());
  return Event::kDone;
}

Event Coordinator::record() {
  WindowRecord& record = window_->record();
  record.held = now(world_.clock);
  Result<void> written;
  {
    const PhaseTimer phase(record, world_.clock, "record");
    written = write_held();
  }
  if (!written) {
    const bool late = written.error().code() == ErrorCode::kTimedOut;
    return fail(Error(late ? ErrorCode::kFreezeTimeout : ErrorCode::kHoldFailed,
                      "unable to write the freeze record")
                    .caused_by(std::move(written).error()));
  }
  note_survivors();
  if (!settings_.without_filesystems) {
    if (auto armed = world_.filesystems.confirm(); !armed) {
      return fail(Error(ErrorCode::kHoldFailed, "the dead-man of the filesystems is gone")
                      .caused_by(std::move(armed).error()));
    }
  }
  // Whatever has been waited for: an answer after freeze-timeout is a refusal.
  if (std::chrono::steady_clock::now() >= budget_end_) {
    return fail(Error(ErrorCode::kFreezeTimeout,
                      "the freeze took longer than freeze-timeout (" +
                          base::format_duration(settings_.freeze_timeout) + ")"));
  }
  // An earlier window whose thaw never came gives way to this one.
  owed_.reset();
  world_.journal.replace_left_open();
  world_.log.info(
      "{}held after {} ms", run_tag(),
      std::chrono::duration_cast<Millis>(record.held->monotonic - record.begin.monotonic).count());
  return Event::kDone;
}

Event Coordinator::renew(const std::stop_token& given_up) {
  WindowRecord old = window_->renew(world_.journal.next_sequence());
  old.end = now(world_.clock);
  old.verdict = Verdict{"cancelled", base::guest_exit_status(ErrorCode::kCancelled),
                        "a second freeze took over the locks before any thaw"};
  world_.log.warn("window {} had no thaw; its locks are taken over by window {}", old.id,
                  window_->id());
  unsettled_.push_back(to_json(old));
  // Whoever was promised that window may still thaw it.
  owed_ = Error(ErrorCode::kHoldLost,
                "the holds were let go: a second freeze could not go on with them");
  {
    const PhaseTimer phase(window_->record(), world_.clock, "arm");
    expires_at_ = world_.clock.now() + settings_.max_hold;
    world_.dead_man.arm(expires_at_);
    if (!settings_.without_filesystems) {
      if (auto extended =
              world_.filesystems.extend(settings_.max_hold, Deadline(budget_end_ - reserve_));
          !extended) {
        return fail(Error(ErrorCode::kHoldFailed, "unable to arm the dead-man of the filesystems")
                        .caused_by(std::move(extended).error()));
      }
    }
  }
  const PhaseTimer phase(window_->record(), world_.clock, "verify");
  if (auto verified = window_->take_over(patience(given_up)); !verified) {
    return fail(Error(ErrorCode::kHoldFailed, "unable to go on with the locks of the last freeze")
                    .caused_by(std::move(verified).error()));
  }
  return Event::kDone;
}

// -- the steps of a thaw -----------------------------------------------------------------------

void Coordinator::verify() {
  const PhaseTimer phase(window_->record(), world_.clock, "verify");
  Patience half = patience({});
  half.deadline = budget_end_ - settings_.thaw_timeout / 2;
  half.fail_fast = false;
  auto verified = window_->verify_and_let_go(half, budget_end_ - 3 * grace_);
  if (!verified) failure_ = std::move(verified).error();
}

void Coordinator::thaw_filesystems() {
  world_.log.error("{}{}", run_tag(), failure_ ? failure_->text() : "letting go");
  if (settings_.without_filesystems) return;
  // First: a release may need a database that waits for its frozen disk.
  const Deadline deadline(budget_end_ - settings_.thaw_timeout / 2);
  if (auto thawed = world_.filesystems.thaw(deadline); !thawed) {
    world_.log.error("{}{}, continuing with the release", run_tag(), thawed.error().one_line());
  }
}

void Coordinator::let_go() {
  const PhaseTimer phase(window_->record(), world_.clock, "release");
  const auto disks =
      state_ == State::kStopping ? Resource::Disks::kMaybeFrozen : Resource::Disks::kThawed;
  auto released = window_->let_go(budget_end_ - 3 * grace_, grace_, disks);
  if (window_->is_stuck()) must_end_ = true;
  if (released) return;
  failure_ = failure_ ? std::move(*failure_).also(std::move(released).error())
                      : std::move(released).error();
}

void Coordinator::conclude() {
  world_.dead_man.disarm();
  world_.thaw_watch.end();
  WindowRecord& record = window_->record();
  record.end = now(world_.clock);
  record.verdict = failure_ ? verdict_of(*failure_) : Verdict{};
  if (!failure_ && record.held) {
    world_.log.info(
        "{}thawed: every hold was unbroken for {} ms", run_tag(),
        std::chrono::duration_cast<Millis>(record.end->monotonic - record.held->monotonic).count());
  } else if (failure_) {
    world_.log.error("{}{}", run_tag(), failure_->one_line());
  }
  if (record.kind == WindowKind::kDrill) return conclude_drill();
  Json json = to_json(record);
  if (state_ == State::kExpired || state_ == State::kInterrupted || thaw_seen_) {
    owed_ = std::exchange(failure_, std::nullopt);
  }
  // A window whose thaw is still to come keeps its marker: if this process goes, too, the next one
  // has to know.
  auto written = owes_thaw() ? world_.journal.write_last_keeping_marker(json)
                             : world_.journal.write_last(json);
  if (!written) world_.log.warn("{}{}, continuing", run_tag(), written.error().one_line());
  {
    const std::lock_guard lock(shown_mutex_);
    shown_.last = json;
    shown_.window.clear();
  }
  unsettled_.push_back(std::move(json));
  window_.reset();
}

void Coordinator::report() {
  failure_ = std::exchange(owed_, std::nullopt);
  if (world_.journal.left_open() && !failure_) {
    failure_ = daemon_restarted();
    Json left = lost_with_its_daemon(*world_.journal.left_open());
    if (auto written = world_.journal.write_last(left); !written) {
      world_.log.warn("{}, continuing", written.error().one_line());
    }
    if (left.contains("window")) unsettled_.push_back(std::move(left));
    disarm_owed_ = !settings_.without_filesystems;
  }
  world_.journal.forget_left_open();
  if (failure_) world_.log.error("thaw: {}", failure_->one_line());
}

void Coordinator::settle() {
  if (is_open(state_)) return;
  // Stopped in the window: nobody has thawed yet, and perhaps nobody will but the dead-man. And the
  // disk is frozen, or will be in a moment: a thread that waits for it keeps the process, and so
  // the next daemon, from its place. That one accounts for the window.
  if (state_ != State::kInterrupted) {
    if (std::exchange(disarm_owed_, false)) {
      if (auto disarmed = world_.filesystems.disarm(Deadline::in(1s)); !disarmed) {
        world_.log.warn("{}, continuing", disarmed.error().one_line());
      }
    }
    world_.journal.give_room_back();
    for (const Json& record : std::exchange(unsettled_, {})) {
      if (auto written = world_.journal.write_done(record); !written) {
        world_.log.warn("{}, continuing", written.error().one_line());
      }
    }
  }
  world_.ring.flush_held();
}

void Coordinator::note_survivors() {
  const auto& survived = window_->survived();
  for (; survivors_noted_ < survived.size(); ++survivors_noted_) {
    world_.log.warn("{}{}, continuing without it", run_tag(),
                    survived[survivors_noted_].one_line());
  }
}

std::string Coordinator::run_tag() const {
  return window_ ? "window " + window_->id().substr(0, 8) + ": " : std::string();
}

}  // namespace holdfast::core
