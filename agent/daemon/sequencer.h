// SPDX-License-Identifier: MIT
//
// The one thread on which the coordinator works, and the queue in front of it. Slow work is done
// here so that the loop stays awake: for status, for the dead-man, for the watchdog.
//
// What is asked for while something else is going on:
//   freeze   refused during a freeze or thaw; a check or a drill gives way to it, one that waits
//   for
//            its turn too
//   thaw     a freeze, check or drill that is going on is given up; then the thaw
//   the dead-man, a stop   wait for their turn; a stop gives up what is going on
//
// Threads: everything on the loop's thread. Answers arrive there too. is_overdue() likewise.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/control_protocol.h"
#include "core/coordinator.h"
#include "core/journal.h"
#include "daemon/event_loop.h"

namespace holdfast::daemon {

class Sequencer {
 public:
  using Answer = std::function<void(const base::ReplyLine& reply, std::string document)>;

  // No job takes longer than `longest`; one that does counts as stuck. `answered` is called in the
  // loop after each answer, those of jobs included that nobody waits for.
  Sequencer(core::Coordinator& coordinator, const core::Journal& journal, EventLoop& loop,
            base::Millis longest, std::function<void()> answered);
  Sequencer(const Sequencer&) = delete;
  Sequencer& operator=(const Sequencer&) = delete;
  // Lets the present job end, drops the others.
  ~Sequencer();

  // kFreeze, kThaw, kCheck, kDrill or kReport. The source gives the job up when asked to stop.
  std::stop_source submit(base::Verb verb, Answer answer);
  void expire();
  // The guest agent has thawed; its hook will ask for the thaw in a moment.
  void thaw_seen();
  // A freeze has succeeded, but its caller is not there any more.
  void abandon();
  // The coordinator lets go; then `done`.
  void stop(std::function<void()> done);

  [[nodiscard]] bool is_overdue() const;
  // Is there a job that has begun, and whose answer has not been given yet?
  [[nodiscard]] bool owes_answer() const { return unanswered_ > 0; }

 private:
  enum class Kind {
    kFreeze,
    kThaw,
    kCheck,
    kDrill,
    kReport,
    kExpire,
    kThawSeen,
    kSettle,
    kAbandon,
    kStop
  };
  struct Job {
    Kind kind = Kind::kExpire;
    Answer answer;
    std::stop_source given_up;
  };

  [[nodiscard]] static bool is_window_job(Kind kind);
  // What has to be given up for a freeze or thaw; under the lock.
  [[nodiscard]] std::vector<std::stop_source> in_the_way_of(Kind kind);
  void push(Job job);
  void work();
  void perform(const Job& job);
  // Of a freeze or thaw: the answer, and then what can wait until after it.
  void answer_window(const Job& job, const base::Result<void>& outcome);
  void answer(const Job& job, const base::Result<void>& outcome, std::string document = {});

  core::Coordinator& coordinator_;
  const core::Journal& journal_;
  EventLoop& loop_;
  const base::Millis longest_;
  const std::function<void()> answered_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> jobs_;
  // The one that is being performed.
  std::optional<Kind> current_;
  std::stop_source current_given_up_{std::nostopstate};
  std::optional<base::Deadline> busy_until_;
  std::atomic<int> unanswered_ = 0;
  bool quit_ = false;
  std::thread thread_;
};

}  // namespace holdfast::daemon
