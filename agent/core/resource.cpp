// SPDX-License-Identifier: MIT
#include "core/resource.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/scope_guard.h"
#include "base/text.h"

namespace holdfast::core {

namespace {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Millis;
using base::Result;
using namespace std::chrono_literals;

constexpr Millis kFirstBackoff = 1s;
constexpr Millis kLastBackoff = 30s;
constexpr Millis kProbeLimit = 10s;
constexpr short kGone = POLLHUP | POLLRDHUP | POLLERR | POLLNVAL;

// Runs a plugin's call. Nothing may throw across that boundary; what does so all the same counts as
// a failure that names the resource.
template <typename Function>
auto guarded(const std::string& resource, const char* call, Function function)
    -> decltype(function()) {
  const std::string what = "plugin of '" + resource + "' threw ";
  try {
    return function();
  } catch (const std::exception& problem) {
    return Error(ErrorCode::kInternal,
                 what + "an exception in " + call + ": " + base::printable(problem.what()));
  } catch (...) {
    return Error(ErrorCode::kInternal, what + "an unknown exception in " + call);
  }
}

Error no_answer() {
  return {ErrorCode::kTimedOut, "no answer in time"};
}

// Measures one call into its place, from construction to destruction.
class CallTimer {
 public:
  CallTimer(const base::Clock& clock, std::optional<std::chrono::nanoseconds>& place)
      : clock_(clock), place_(place), begin_(clock.now()) {}
  CallTimer(const CallTimer&) = delete;
  CallTimer& operator=(const CallTimer&) = delete;
  ~CallTimer() { place_ = clock_.now() - begin_; }

 private:
  const base::Clock& clock_;
  std::optional<std::chrono::nanoseconds>& place_;
  const base::MonoTime begin_;
};

// For calls that return nothing to report an error with.
template <typename Function>
void guarded_quietly(Function function) {
  try {
    function();
  } catch (...) {
    // Letting go is tried anyway, whatever a plugin makes of it.
    return;
  }
}

}  // namespace

Resource::Resource(Traits traits, std::unique_ptr<api::Plugin> plugin, const base::Clock& clock,
                   Bell& bell, std::function<void()> changed)
    : traits_(std::move(traits)),
      plugin_(std::move(plugin)),
      clock_(clock),
      bell_(bell),
      changed_(std::move(changed)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!wake_.valid()) throw std::runtime_error("no descriptor for a resource's wake-up");
}

Resource::~Resource() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    quit_ = true;
  }
  cancel();
  interrupt();
  wake();
  thread_.join();
}

void Resource::start() {
  thread_ = std::thread([this] { work(); });
}

void Resource::wake() const {
  const std::uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof one);
}

void Resource::begin(Deadline deadline, Call call) {
  {
    const std::lock_guard lock(mutex_);
    if (!finished_) throw std::logic_error("two calls at once of " + traits_.name);
    finished_ = false;
    outcome_ = no_answer();
    pending_ = std::move(call);
    busy_until_ = deadline;
    stop_ = std::stop_source();
  }
  wake();
}

bool Resource::finished() const {
  const std::lock_guard lock(mutex_);
  return finished_;
}

Result<void> Resource::check_outcome() const {
  const std::lock_guard lock(mutex_);
  return check_outcome_;
}

Result<void> Resource::outcome() const {
  const std::lock_guard lock(mutex_);
  return outcome_;
}

void Resource::cancel() {
  std::stop_source stop{std::nostopstate};
  std::stop_source background_stop{std::nostopstate};
  {
    const std::lock_guard lock(mutex_);
    stop = stop_;
    background_stop = background_stop_;
  }
  // Outside the lock: stop callbacks of the plugin run right here.
  (void)stop.request_stop();
  (void)background_stop.request_stop();
}

void Resource::interrupt() {
  guarded_quietly([&] { plugin_->interrupt(); });
}

bool Resource::is_held() const {
  const std::lock_guard lock(mutex_);
  return held_;
}

bool Resource::is_in_window() const {
  const std::lock_guard lock(mutex_);
  return in_window_;
}

std::optional<base::MonoTime> Resource::lost_at() const {
  const std::lock_guard lock(mutex_);
  return lost_at_;
}

Resource::View Resource::view() const {
  const std::lock_guard lock(mutex_);
  return view_;
}

bool Resource::overdue(Millis grace) const {
  const std::lock_guard lock(mutex_);
  return busy_until_ && base::Deadline(busy_until_->at() + grace).passed();
}

void Resource::work() {
  for (;;) {
    std::optional<Call> call;
    {
      const std::lock_guard lock(mutex_);
      call = std::exchange(pending_, std::nullopt);
      if (!call && quit_) break;
    }
    if (call) {
      run(*call);
    } else {
      idle();
    }
  }
  // What is still held is released by its destructor, here where the plugin expects it.
  guarded_quietly([&] { hold_.reset(); });
}

void Resource::run(const Call& call) {
  std::stop_token stop;
  {
    const std::lock_guard lock(mutex_);
    stop = stop_.get_token();
  }
  auto outcome = call(stop);
  {
    const std::lock_guard lock(mutex_);
    outcome_ = std::move(outcome);
    finished_ = true;
    busy_until_.reset();
  }
  bell_.ring();
  changed_();
}

int Resource::current_watch_fd() {
  int fd = -1;
  guarded_quietly([&] {
    if (hold_) {
      fd = hold_->watch_fd();
    } else if (ready_) {
      fd = plugin_->watch_fd();
    }
  });
  return fd;
}

void Resource::idle() {
  const bool may_probe = !is_in_window();
  int timeout = -1;
  if (may_probe && next_probe_ != base::MonoTime::max()) {
    timeout = base::Deadline(next_probe_).poll_timeout();
  }
  std::array<pollfd, 2> watched{
      {{wake_.get(), POLLIN, 0},
       {watched_events_ != 0 ? current_watch_fd() : -1, watched_events_, 0}}};
  const int ready = timeout == 0 ? 0 : ::poll(watched.data(), watched.size(), timeout);
  if (ready < 0) return;
  if (watched[0].revents != 0) {
    std::uint64_t ignored = 0;
    (void)!::read(wake_.get(), &ignored, sizeof ignored);
  }
  if (watched[1].revents != 0) on_watch(watched[1].revents);
  if (ready != 0 || !may_probe) return;

  const Deadline deadline = Deadline::in(kProbeLimit);
  std::stop_token stop;
  {
    const std::lock_guard lock(mutex_);
    // A call may have come in; it probes by itself if it needs to.
    if (pending_ || quit_) return;
    busy_until_ = deadline;
    background_stop_ = std::stop_source();
    stop = background_stop_.get_token();
  }
  (void)probe(deadline, stop);
  {
    const std::lock_guard lock(mutex_);
    if (finished_) busy_until_.reset();
  }
  changed_();
}

void Resource::on_watch(short events) {
  if (hold_) {
    // Bytes alone prove nothing: a server may send a notice. check() decides, at the thaw.
    watched_events_ = (events & kGone) != 0 ? short{0} : short{POLLRDHUP};
    if ((events & kGone) == 0) return;
    {
      const std::lock_guard lock(mutex_);
      lost_at_ = clock_.now();
      view_.health = Health::kLost;
      view_.problem = Error(ErrorCode::kHoldLost, "the session of '" + traits_.name + "' closed");
    }
    bell_.ring();
    changed_();
    return;
  }
  // An idle session that speaks or has gone: ask. Not at once again, if it speaks all the time.
  watched_events_ = 0;
  next_probe_ = std::max(clock_.now(), last_probe_ + kFirstBackoff);
}

Result<void> Resource::probe(Deadline deadline, const std::stop_token& stop) {
  auto report = guarded(traits_.name, "probe()", [&] { return plugin_->probe(deadline, stop); });
  if (!report) {
    Error problem = std::move(report).error();
    note_unready(problem);
    return problem;
  }
  ready_ = true;
  last_probe_ = clock_.now();
  backoff_ = Millis{0};
  next_probe_ = base::MonoTime::max();
  watched_events_ = POLLIN | POLLRDHUP;
  const std::lock_guard lock(mutex_);
  view_ = {Health::kReady, std::move(*report), std::nullopt};
  return {};
}

void Resource::note_unready(Error problem) {
  ready_ = false;
  watched_events_ = 0;
  backoff_ = std::clamp(backoff_ * 2, kFirstBackoff, kLastBackoff);
  last_probe_ = clock_.now();
  next_probe_ = last_probe_ + backoff_;
  const std::lock_guard lock(mutex_);
  view_.health = Health::kUnready;
  view_.problem = std::move(problem);
}

void Resource::begin_probe(Deadline deadline) {
  begin(deadline, [this, deadline](const std::stop_token& stop) { return probe(deadline, stop); });
}

void Resource::begin_prepare(const api::Window& window, Deadline deadline) {
  {
    const std::lock_guard lock(mutex_);
    in_window_ = true;
    lost_at_.reset();
  }
  identity_ = {};
  position_.clear();
  details_.clear();
  warnings_.clear();
  checked_position_.clear();
  times_ = {};
  release_report_ = {};
  held_at_.reset();
  released_at_.reset();
  begin(deadline, [this, window, deadline](const std::stop_token& stop) -> Result<void> {
    const CallTimer timer(clock_, times_.prepare);
    // A session that was to be looked at again anyway is looked at first.
    if (!ready_ || next_probe_ != base::MonoTime::max()) {
      const bool was_ready = ready_;
      auto probed = probe(deadline, stop);
      // The old session has ended, and nobody had noticed: that is no reason to refuse a freeze if
      // a new one can be had.
      if (!probed && was_ready && !stop.stop_requested()) probed = probe(deadline, stop);
      if (!probed) return probed;
    }
    {
      const std::lock_guard lock(mutex_);
      identity_ = view_.report.identity;
    }
    return guarded(traits_.name, "prepare()", [&] {
      auto prepared = plugin_->prepare(window, deadline, stop);
      if (prepared) stalls_writers_ = plugin_->stalls_writers();
      return prepared;
    });
  });
}

void Resource::begin_hold(const api::Window& window, Deadline deadline) {
  begin(deadline, [this, window, deadline](const std::stop_token& stop) -> Result<void> {
    const CallTimer timer(clock_, times_.hold);
    auto hold =
        guarded(traits_.name, "hold()", [&] { return plugin_->hold(window, deadline, stop); });
    if (!hold) {
      give_up_session(hold.error());
      return std::move(hold).error();
    }
    if (!*hold) {
      interrupt();
      return Error(ErrorCode::kInternal, "plugin of '" + traits_.name + "' returned no hold");
    }
    hold_ = std::move(*hold);
    held_at_ = clock_.now();
    watched_events_ = POLLIN | POLLRDHUP;
    {
      const std::lock_guard lock(mutex_);
      held_ = true;
      view_.health = Health::kHeld;
      view_.problem.reset();
    }
    return guarded(traits_.name, "position()", [&]() -> Result<void> {
      identity_ = hold_->identity();
      position_ = hold_->position();
      details_ = hold_->details();
      warnings_ = hold_->warnings();
      return {};
    });
  });
}

Error Resource::lost_error() const {
  const auto into = std::chrono::duration_cast<Millis>(*lost_at_ - *held_at_);
  return {ErrorCode::kHoldLost, "the session of '" + traits_.name + "' closed " +
                                    std::to_string(into.count()) + " ms after it was held"};
}

Result<void> Resource::check(Deadline deadline) {
  if (!hold_) return Error(ErrorCode::kHoldLost, "'" + traits_.name + "' is not held");
  // The last moment counts too: a loss that poll(2) would show now has not been noted yet.
  pollfd watched{current_watch_fd(), POLLRDHUP, 0};
  if (!lost_at() && watched.fd >= 0 && ::poll(&watched, 1, 0) > 0) on_watch(watched.revents);
  if (lost_at()) return lost_error();
  auto position = guarded(traits_.name, "check()", [&] { return hold_->check(deadline); });
  if (!position) return std::move(position).error();
  checked_position_ = std::move(*position);
  return {};
}

Result<void> Resource::let_go(Deadline deadline, Disks disks) {
  Result<void> released;
  if (hold_) {
    const CallTimer timer(clock_, times_.release);
    released = disks == Disks::kThawed
                   ? guarded(traits_.name, "release()", [&] { return hold_->release(deadline); })
                   : guarded(traits_.name, "abandon()", [&] { return hold_->abandon(deadline); });
    released_at_ = clock_.now();
    guarded_quietly([&] { release_report_ = hold_->release_report(); });
    guarded_quietly([&] { hold_.reset(); });
    if (!released) give_up_session(released.error());
  } else {
    guarded_quietly([&] { plugin_->rollback(deadline); });
  }
  // Is the session still good for the next time? Asked when those who waited have had their turn.
  watched_events_ = 0;
  next_probe_ = clock_.now() + kFirstBackoff;
  const std::lock_guard lock(mutex_);
  held_ = false;
  in_window_ = false;
  if (view_.health == Health::kHeld) view_.health = Health::kReady;
  return released;
}

void Resource::give_up_session(const Error& problem) {
  if (problem.code() == ErrorCode::kInternal) interrupt();
}

Result<void> Resource::note_check(Deadline deadline) {
  auto outcome = [&] {
    const CallTimer timer(clock_, times_.check);
    return check(deadline);
  }();
  const std::lock_guard lock(mutex_);
  check_outcome_ = outcome;
  return outcome;
}

void Resource::forget_check() {
  const std::lock_guard lock(mutex_);
  check_outcome_ = no_answer();
}

void Resource::begin_check(Deadline deadline) {
  forget_check();
  begin(deadline, [this, deadline](const std::stop_token&) { return note_check(deadline); });
}

void Resource::begin_take_over(const api::Window& window, Deadline deadline) {
  forget_check();
  begin(deadline, [this, window, deadline](const std::stop_token&) {
    auto outcome = check(deadline);
    if (outcome) {
      outcome = guarded(traits_.name, "extend()", [&] { return hold_->extend(window, deadline); });
    }
    const std::lock_guard lock(mutex_);
    check_outcome_ = outcome;
    return outcome;
  });
}

void Resource::begin_let_go(Deadline deadline, Disks disks) {
  begin(deadline,
        [this, deadline, disks](const std::stop_token&) { return let_go(deadline, disks); });
}

void Resource::begin_check_and_let_go(Deadline check_by, Deadline let_go_by) {
  forget_check();
  begin(let_go_by, [this, check_by, let_go_by](const std::stop_token&) {
    (void)note_check(check_by);
    return let_go(let_go_by, Disks::kThawed);
  });
}

}  // namespace holdfast::core
