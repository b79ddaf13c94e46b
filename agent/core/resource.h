// SPDX-License-Identifier: MIT
//
// One resource with its plugin, its Hold, and the one thread on which both are ever called.
//
// Between calls the thread waits in poll(2) for the next call and for the plugin's or the Hold's
// watch_fd(), so a session that closes is seen at once, whoever closed it, and nothing wakes up
// while nothing happens. A resource that is not ready is probed again after 1 s, 2 s, 4 s … 30 s.
// Within a window it is left alone: a lost hold is never taken again, and a session that goes
// between prepare and hold makes the hold fail.
//
// Nothing that a plugin throws gets past this class; errors name the resource.
//
// Threads: begin_…(), cancel(), interrupt() and the results on one thread, the coordinator's. One
// call at a time: begin_…() only when finished(). view() and overdue() from any thread. The bell
// rings, and `changed` is called on the resource's thread, when something has changed.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>

#include "api/plugin.h"
#include "base/clock.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "core/bell.h"
#include "core/record.h"

namespace holdfast::core {

class Resource {
 public:
  struct Traits {
    std::string name;
    std::string plugin;
    bool required = true;
    std::int64_t order = 0;
  };

  // In which state a hold is let go: see Hold::abandon().
  enum class Disks { kThawed, kMaybeFrozen };

  enum class Health { kConnecting, kReady, kUnready, kHeld, kLost };

  struct View {
    Health health = Health::kConnecting;
    api::ProbeReport report;
    // Why it is not ready, or how the hold was lost.
    std::optional<base::Error> problem;
  };

  Resource(Traits traits, std::unique_ptr<api::Plugin> plugin, const base::Clock& clock, Bell& bell,
           std::function<void()> changed);
  Resource(const Resource&) = delete;
  Resource& operator=(const Resource&) = delete;
  // Interrupts what is going on, and waits for the thread.
  ~Resource();

  [[nodiscard]] const Traits& traits() const { return traits_; }

  // Starts the thread, and with it the first probe.
  void start();

  void begin_probe(base::Deadline deadline);
  // Probes first if it is not ready.
  void begin_prepare(const api::Window& window, base::Deadline deadline);
  void begin_hold(const api::Window& window, base::Deadline deadline);
  // kHoldLost if it was lost meanwhile, without asking the plugin; it might be wrong.
  void begin_check(base::Deadline deadline);
  // The same, and the hold goes on for `window`.
  void begin_take_over(const api::Window& window, base::Deadline deadline);
  // Ends the resource's part in the window: releases what is held, rolls back what is prepared.
  void begin_let_go(base::Deadline deadline, Disks disks);
  // Both in one call, whatever the check says: nobody's writes wait for another resource's check.
  // The outcome is the release's; check_outcome() has the other.
  void begin_check_and_let_go(base::Deadline check_by, base::Deadline let_go_by);

  [[nodiscard]] bool finished() const;
  // What came of the last call.
  [[nodiscard]] base::Result<void> outcome() const;

  // What came of the check of this window, even when the release after it has not come back.
  [[nodiscard]] base::Result<void> check_outcome() const;

  // Asks the call that is going on to stop.
  void cancel();
  // Makes it stop, by cutting the plugin's sessions.
  void interrupt();

  // Of the present or last window.
  [[nodiscard]] bool is_held() const;
  [[nodiscard]] bool is_in_window() const;
  // Do others wait while it is held? Known once it is prepared.
  [[nodiscard]] bool stalls_writers() const { return stalls_writers_; }
  [[nodiscard]] const api::Identity& identity() const { return identity_; }
  [[nodiscard]] const api::Position& position() const { return position_; }
  [[nodiscard]] const api::Position& details() const { return details_; }
  [[nodiscard]] const std::vector<std::string>& warnings() const { return warnings_; }
  [[nodiscard]] const api::Position& checked_position() const { return checked_position_; }
  [[nodiscard]] const CallTimes& times() const { return times_; }
  [[nodiscard]] const api::ReleaseReport& release_report() const { return release_report_; }
  [[nodiscard]] std::optional<base::MonoTime> held_at() const { return held_at_; }
  [[nodiscard]] std::optional<base::MonoTime> released_at() const { return released_at_; }
  [[nodiscard]] std::optional<base::MonoTime> lost_at() const;

  [[nodiscard]] View view() const;
  // Has a call gone on for longer than its deadline and `grace`?
  [[nodiscard]] bool overdue(base::Millis grace) const;

 private:
  using Call = std::function<base::Result<void>(std::stop_token)>;

  void begin(base::Deadline deadline, Call call);
  void work();
  void run(const Call& call);
  // Waits for a call, a loss, or the time of the next probe.
  void idle();
  void on_watch(short events);
  [[nodiscard]] int current_watch_fd();
  [[nodiscard]] base::Result<void> probe(base::Deadline deadline, const std::stop_token& stop);
  [[nodiscard]] base::Result<void> check(base::Deadline deadline);
  // check(), and its outcome kept.
  base::Result<void> note_check(base::Deadline deadline);
  void forget_check();
  // A plugin that broke its contract may have left anything locked: the end of its sessions ends
  // that, too.
  void give_up_session(const base::Error& problem);
  [[nodiscard]] base::Result<void> let_go(base::Deadline deadline, Disks disks);
  void note_unready(base::Error problem);
  void wake() const;
  [[nodiscard]] base::Error lost_error() const;

  const Traits traits_;
  const std::unique_ptr<api::Plugin> plugin_;
  const base::Clock& clock_;
  Bell& bell_;
  const std::function<void()> changed_;
  const base::UniqueFd wake_;

  // The thread's own; read by the coordinator between calls.
  std::unique_ptr<api::Hold> hold_;
  bool stalls_writers_ = true;
  api::Identity identity_;
  api::Position position_;
  api::Position details_;
  std::vector<std::string> warnings_;
  api::Position checked_position_;
  CallTimes times_;
  api::ReleaseReport release_report_;
  std::optional<base::MonoTime> held_at_;
  std::optional<base::MonoTime> released_at_;
  bool ready_ = false;
  short watched_events_ = 0;
  base::MonoTime next_probe_{};
  base::MonoTime last_probe_{};
  base::Millis backoff_{};

  mutable std::mutex mutex_;
  bool quit_ = false;
  bool in_window_ = false;
  bool held_ = false;
  std::optional<Call> pending_;
  bool finished_ = true;
  base::Result<void> outcome_;
  base::Result<void> check_outcome_;
  std::stop_source stop_{std::nostopstate};
  std::stop_source background_stop_{std::nostopstate};
  std::optional<base::Deadline> busy_until_;
  std::optional<base::MonoTime> lost_at_;
  View view_;

  std::thread thread_;
};

}  // namespace holdfast::core
