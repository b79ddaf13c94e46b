// SPDX-License-Identifier: MIT
#include "mysql/long_statements.h"

#include <algorithm>
#include <utility>

#include "base/duration.h"

namespace holdfast::mysql {

namespace {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Millis;
using base::Result;

// Between two looks at the process list: most statements end at once.
constexpr Millis kFirstInterval{5};
constexpr Millis kInterval{100};
// A killed statement still has to notice, and to undo what it did.
constexpr Millis kDyingTime{3000};

}  // namespace

bool LongStatements::is_old(const RunningStatement& statement) const {
  // MySQL counts whole seconds, rounded down: so is the threshold there.
  const Millis least = control_.mariadb()
                           ? settings_.threshold
                           : std::chrono::floor<std::chrono::seconds>(settings_.threshold);
  return statement.age >= least;
}

bool LongStatements::may_kill(const RunningStatement& statement) const {
  if (!statement.of_client) return false;
  switch (settings_.policy) {
    case LongStatementPolicy::kWait:
    case LongStatementPolicy::kFail:
      return false;
    case LongStatementPolicy::kKillSelect:
      return statement.kind.selects;
    case LongStatementPolicy::kKillAll:
      return true;
  }
  return false;
}

bool LongStatements::is_waited_for(const LockStrategy& lock,
                                   const RunningStatement& statement) const {
  return is_old(statement) || lock.waits_at_any_age(statement.kind) ||
         (first_->contains(statement.query) && !of_age_.passed());
}

Result<std::vector<RunningStatement>> LongStatements::in_the_way(const LockStrategy& lock,
                                                                 const Patience& patience) {
  auto running = control_.running_statements(own_, patience);
  if (!running) return running;
  std::erase_if(*running, [&](const auto& one) { return !lock.waits_for(one.kind); });
  if (!first_) {
    first_.emplace();
    of_age_ = Deadline::in(kComingOfAge);
    for (const RunningStatement& statement : *running) {
      if (statement.query != 0) first_->insert(statement.query);
    }
  }
  std::erase_if(*running, [&](const auto& one) { return !is_waited_for(lock, one); });
  return running;
}

Result<bool> LongStatements::kill_some(const std::vector<RunningStatement>& statements,
                                       const Patience& patience) {
  bool dying = false;
  for (const RunningStatement& statement : statements) {
    if (!may_kill(statement) || !is_old(statement)) continue;
    dying = true;
    if (!victims_.insert(statement.session).second) continue;
    if (auto killed = control_.kill_statement(statement, patience); !killed) {
      return base::wrap(std::move(killed).error(), "unable to kill the statement of session " +
                                                       std::to_string(statement.session));
    }
    killed_.push_back(epitaph_of(statement));
  }
  return dying;
}

Error LongStatements::refusal(const std::vector<RunningStatement>& statements) const {
  const auto oldest =
      std::max_element(statements.begin(), statements.end(),
                       [](const auto& one, const auto& other) { return one.age < other.age; });
  Error error(ErrorCode::kBusy, description_of(*oldest));
  switch (settings_.policy) {
    case LongStatementPolicy::kFail:
      return std::move(error).with_hint("let it end; long-statement-policy is fail");
    case LongStatementPolicy::kKillSelect:
      if (oldest->kind.selects) break;
      return std::move(error).with_hint(
          "let it end; long-statement-policy kill-select kills none but plain SELECTs");
    case LongStatementPolicy::kKillAll:
    case LongStatementPolicy::kWait:
      break;
  }
  return std::move(error).with_hint("let it end, or raise long-statement-wait, which is " +
                                    base::format_duration(settings_.wait));
}

Result<void> LongStatements::clear(const LockStrategy& lock, const Patience& patience) {
  const Millis wait = settings_.policy == LongStatementPolicy::kFail ? Millis(0) : settings_.wait;
  Deadline give_up = Deadline::in(wait).earlier_of(patience.deadline);
  Millis interval = kFirstInterval;
  bool killing = false;
  for (;;) {
    auto running = in_the_way(lock, patience);
    if (!running) return std::move(running).error();
    if (running->empty()) return {};
    if (killing || give_up.passed()) {
      auto dying = kill_some(*running, patience);
      if (!dying) return std::move(dying).error();
      if (*dying && !std::exchange(killing, true)) {
        give_up = Deadline::in(kDyingTime).earlier_of(patience.deadline);
      }
      // What is too young to be counted gets the time to come of age, or to end.
      const bool any_old = std::any_of(running->begin(), running->end(),
                                       [this](const auto& one) { return is_old(one); });
      if (give_up.passed() && any_old) return refusal(*running);
    }
    const Deadline next = Deadline::in(interval);
    interval = std::min(interval * 2, kInterval);
    const Deadline pause = give_up.passed() ? next : next.earlier_of(give_up);
    if (auto paused = control_.pause(pause, patience); !paused) return paused;
  }
}

}  // namespace holdfast::mysql
