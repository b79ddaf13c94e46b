// SPDX-License-Identifier: MIT
//
// Takes the whole guest through a freeze and a thaw: drives freeze_machine, owns the resources, and
// decides what a window's end is worth (design 3.1, 3.2).
//
//   freeze   arm -> prepare (parallel) -> sync -> hold (order groups) -> record -> answer
//   thaw     verify -> release (reverse, all) -> record -> answer;   afterwards: settle()
//   thaw seen   the first three of these, ahead of the thaw, which then only has the verdict to
//   give drill    both, one straight after the other, with nothing frozen; counts for nobody
//
// freeze-timeout bounds the whole of freeze(), thaw-timeout the whole of thaw() and expire(). When
// a plugin does not return although it was interrupted, must_end() says that this process has to
// go, once it has answered: sessions that end hold no lock.
//
// Threads: freeze(), thaw(), thaw_seen(), drill(), expire(), stop(), check(), settle() on one
// thread, which may block there. The const calls from any thread.
#pragma once

#include <spdlog/logger.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/json_codec.h"
#include "base/result.h"
#include "core/bell.h"
#include "core/dead_man.h"
#include "core/freeze_machine.h"
#include "core/fs_freezer.h"
#include "core/journal.h"
#include "core/log_ring.h"
#include "core/thaw_watch.h"
#include "core/window.h"

namespace holdfast::core {

struct CoordinatorSettings {
  base::Millis freeze_timeout{};
  base::Millis thaw_timeout{};
  base::Millis max_hold{};
  // Empty: found anew at each freeze.
  std::vector<std::string> filesystems;
  bool without_filesystems = false;
  // How long a call may take to come back once it was stopped, and once it was interrupted; zero:
  // a twentieth of the time-out, 50 to 250 ms.
  base::Millis grace{};
};

// Borrowed, and outliving the coordinator.
struct CoordinatorWorld {
  const base::Clock& clock;
  FsFreezer& filesystems;
  DeadMan& dead_man;
  Journal& journal;
  Bell& bell;
  spdlog::logger& log;
  LogRing& ring;
  ThawWatch& thaw_watch;
};

// What came of a drill, and its record if it came to one (an empty object else).
struct Drilled {
  base::Result<void> outcome;
  base::Json record = base::Json::object();
};

class Coordinator {
 public:
  // The journal is open. Finds in it whether an earlier daemon left a window open.
  Coordinator(CoordinatorSettings settings, CoordinatorWorld world, Resources resources);
  Coordinator(const Coordinator&) = delete;
  Coordinator& operator=(const Coordinator&) = delete;
  // Releases what is held, as a last resort by closing the sessions.
  ~Coordinator();

  // Success: everything required is held, confirmed and recorded. Failure: nothing is.
  // `given_up`: nobody waits for the answer any more.
  [[nodiscard]] base::Result<void> freeze(const std::stop_token& given_up);
  // Success: nothing was held, or every hold was unbroken and is released.
  [[nodiscard]] base::Result<void> thaw();
  // The host has asked for the thaw, and the filesystems are thawed: does what thaw() does with a
  // window that is held, and keeps the verdict for the thaw that is about to come. Does nothing
  // otherwise.
  void thaw_seen();
  // Holds everything and releases it again, to see whether it can be done and what it costs. Only
  // while nothing is held and no thaw is owed: kBusy otherwise. Asked to stop before everything is
  // held, it releases at once: kCancelled. Otherwise fails as freeze() and thaw() do.
  [[nodiscard]] Drilled drill(const std::stop_token& given_up);
  // The dead-man's time has come: does nothing if it has not, or if nothing is held.
  void expire();
  // Nobody heard that the freeze succeeded, so nothing will be frozen: lets go.
  void abandon();
  // The daemon is about to end: lets go, and leaves the marker that says so.
  void stop();
  // What can wait until after the answer: the disk's copy of the record, the log, the dead-man of
  // the filesystems. Does nothing while a window is open.
  void settle();
  // Probes every resource now; one that fails is in the error, and all are in status().
  [[nodiscard]] base::Result<void> check(const std::stop_token& given_up);

  [[nodiscard]] bool must_end() const { return must_end_; }
  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] base::Json status() const;
  // How many resources are ready, for one line of status.
  [[nodiscard]] std::string summary() const;
  // Is a resource's thread stuck beyond every deadline?
  [[nodiscard]] bool is_overdue() const;

 private:
  // Feeds the machine with events until it has no action left.
  void drive(Event event, const std::stop_token& given_up);
  void change(State next);
  [[nodiscard]] std::optional<Event> perform(Action action, const std::stop_token& given_up);

  [[nodiscard]] Event prepare(const std::stop_token& given_up);
  [[nodiscard]] base::Result<void> arm();
  [[nodiscard]] Event hold(const std::stop_token& given_up);
  [[nodiscard]] Event record();
  [[nodiscard]] Event renew(const std::stop_token& given_up);
  void verify();
  void thaw_filesystems();
  void let_go();
  void conclude();
  [[nodiscard]] bool owes_thaw() const { return owed_ || world_.journal.left_open(); }
  void report();
  void conclude_drill();
  // Where this window's record goes while it is held.
  [[nodiscard]] base::Result<void> write_held();

  // The freeze has failed with this; the event that says so.
  [[nodiscard]] Event fail(base::Error error);
  void budget(base::Millis span);
  [[nodiscard]] Patience patience(const std::stop_token& given_up) const;
  void note_survivors();
  [[nodiscard]] std::string run_tag() const;

  const CoordinatorSettings settings_;
  const CoordinatorWorld world_;
  Resources resources_;

  std::atomic<State> state_ = State::kIdle;
  std::atomic<bool> must_end_ = false;
  std::optional<Window> window_;
  // What came of the present call.
  std::optional<base::Error> failure_;
  // How a window ended that was promised and has had no thaw: the next one hears it, unless another
  // freeze has succeeded by then. One that fails takes nothing back.
  std::optional<base::Error> owed_;
  std::size_t survivors_noted_ = 0;
  base::MonoTime expires_at_{};
  base::MonoTime budget_end_{};
  base::Millis grace_{};
  base::Millis reserve_{};
  // Records that have ended, still to be completed on disk.
  std::vector<base::Json> unsettled_;
  bool disarm_owed_ = false;
  // This window ends by thaw_seen().
  bool thaw_seen_ = false;
  WindowKind kind_ = WindowKind::kFreeze;
  base::Json drilled_;

  mutable std::mutex shown_mutex_;
  struct {
    std::string window;
    std::optional<Instant> since;
    std::optional<base::Json> last;
  } shown_;
};

}  // namespace holdfast::core
