// SPDX-License-Identifier: MIT
#include "daemon/sequencer.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "base/text.h"

namespace holdfast::daemon {

namespace {

using base::Error;
using base::ErrorCode;
using base::Result;

constexpr std::size_t kRecordsReported = 20;
// The hook is on its way, and what it waits for must not wait for the disk.
constexpr base::Millis kHookComes{1000};

}  // namespace

Sequencer::Sequencer(core::Coordinator& coordinator, const core::Journal& journal, EventLoop& loop,
                     base::Millis longest, std::function<void()> answered)
    : coordinator_(coordinator),
      journal_(journal),
      loop_(loop),
      longest_(longest),
      answered_(std::move(answered)) {
  thread_ = std::thread([this] { work(); });
}

Sequencer::~Sequencer() {
  {
    const std::lock_guard lock(mutex_);
    quit_ = true;
    (void)current_given_up_.request_stop();
  }
  changed_.notify_all();
  thread_.join();
}

std::stop_source Sequencer::submit(base::Verb verb, Answer answer) {
  Job job;
  job.answer = std::move(answer);
  switch (verb) {
    case base::Verb::kFreeze:
      job.kind = Kind::kFreeze;
      break;
    case base::Verb::kThaw:
      job.kind = Kind::kThaw;
      break;
    case base::Verb::kCheck:
      job.kind = Kind::kCheck;
      break;
    case base::Verb::kDrill:
      job.kind = Kind::kDrill;
      break;
    case base::Verb::kReport:
    case base::Verb::kStatus:
      job.kind = Kind::kReport;
      break;
  }
  std::stop_source given_up = job.given_up;
  std::vector<std::stop_source> in_the_way;
  {
    const std::lock_guard lock(mutex_);
    if (job.kind == Kind::kFreeze &&
        ((current_ && is_window_job(*current_)) ||
         std::any_of(jobs_.begin(), jobs_.end(),
                     [&](const Job& other) { return is_window_job(other.kind); }))) {
      ++unanswered_;
      this->answer(job, Error(ErrorCode::kHoldFailed,
                              "unable to freeze: another freeze or thaw is in progress"));
      return given_up;
    }
    in_the_way = in_the_way_of(job.kind);
  }
  // Outside the lock: stop callbacks run right here.
  for (std::stop_source& source : in_the_way)
    (void)source.request_stop();
  push(std::move(job));
  return given_up;
}

bool Sequencer::is_window_job(Kind kind) {
  return kind == Kind::kFreeze || kind == Kind::kThaw;
}

std::vector<std::stop_source> Sequencer::in_the_way_of(Kind kind) {
  std::vector<std::stop_source> found;
  if (!is_window_job(kind)) return found;
  if (current_ == Kind::kCheck || current_ == Kind::kDrill ||
      (current_ == Kind::kFreeze && kind == Kind::kThaw)) {
    found.push_back(current_given_up_);
  }
  for (const Job& job : jobs_) {
    if (job.kind == Kind::kDrill) found.push_back(job.given_up);
  }
  return found;
}

void Sequencer::expire() {
  push({Kind::kExpire, {}, {}});
}

void Sequencer::thaw_seen() {
  push({Kind::kThawSeen, {}, {}});
  // Should it never come, the window's record is completed all the same.
  loop_.at(std::chrono::steady_clock::now() + kHookComes, [this] {
    push({Kind::kSettle, {}, {}});
  });
}

void Sequencer::abandon() {
  push({Kind::kAbandon, {}, {}});
}

void Sequencer::stop(std::function<void()> done) {
  std::stop_source current{std::nostopstate};
  {
    const std::lock_guard lock(mutex_);
    current = current_given_up_;
  }
  (void)current.request_stop();
  push({Kind::kStop,
        [done = std::move(done)](const base::ReplyLine&, const std::string&) { done(); },
        {}});
}

bool Sequencer::is_overdue() const {
  const std::lock_guard lock(mutex_);
  return busy_until_ && busy_until_->passed();
}

void Sequencer::push(Job job) {
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(job));
  }
  changed_.notify_all();
}

void Sequencer::work() {
  for (;;) {
    Job job;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return quit_ || !jobs_.empty(); });
      if (quit_) return;
      job = std::move(jobs_.front());
      jobs_.pop_front();
      current_ = job.kind;
      current_given_up_ = job.given_up;
      busy_until_ = base::Deadline::in(longest_);
    }
    ++unanswered_;
    try {
      perform(job);
    } catch (const std::exception& problem) {
      // A broken invariant: nothing is known any more, so nothing is claimed.
      answer(job, Error(ErrorCode::kInternal,
                        "an exception was thrown: " + base::printable(problem.what())));
    }
    const std::lock_guard lock(mutex_);
    current_.reset();
    current_given_up_ = std::stop_source{std::nostopstate};
    busy_until_.reset();
  }
}

void Sequencer::answer_window(const Job& job, const Result<void>& outcome) {
  {
    // Once it is answered the next one may come: what is left to do only delays it.
    const std::lock_guard lock(mutex_);
    current_.reset();
    current_given_up_ = std::stop_source{std::nostopstate};
  }
  answer(job, outcome);
  coordinator_.settle();
}

void Sequencer::perform(const Job& job) {
  switch (job.kind) {
    case Kind::kFreeze:
      return answer_window(job, coordinator_.freeze(job.given_up.get_token()));
    case Kind::kThaw:
      return answer_window(job, coordinator_.thaw());
    case Kind::kCheck: {
      const auto outcome = coordinator_.check(job.given_up.get_token());
      return answer(job, outcome, base::to_line(coordinator_.status()) + "\n");
    }
    case Kind::kDrill: {
      const core::Drilled drilled = coordinator_.drill(job.given_up.get_token());
      coordinator_.settle();
      return answer(job, drilled.outcome, base::to_line(drilled.record) + "\n");
    }
    case Kind::kReport: {
      base::Json records = base::Json::array();
      for (auto& record : journal_.recent(kRecordsReported))
        records.push_back(std::move(record));
      return answer(job, {}, base::to_line({{"records", std::move(records)}}) + "\n");
    }
    case Kind::kExpire:
      coordinator_.expire();
      coordinator_.settle();
      return answer(job, {});
    case Kind::kThawSeen:
      coordinator_.thaw_seen();
      return answer(job, {});
    case Kind::kSettle:
      coordinator_.settle();
      return answer(job, {});
    case Kind::kAbandon:
      coordinator_.abandon();
      coordinator_.settle();
      return answer(job, {});
    case Kind::kStop:
      coordinator_.stop();
      return answer(job, {});
  }
}

void Sequencer::answer(const Job& job, const Result<void>& outcome, std::string document) {
  base::ReplyLine reply;
  if (!outcome) reply = base::reply_for(outcome.error());
  loop_.post([this, answer = job.answer, reply = std::move(reply), document = std::move(document)] {
    if (answer) answer(reply, document);
    --unanswered_;
    answered_();
  });
}

}  // namespace holdfast::daemon
