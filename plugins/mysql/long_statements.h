// SPDX-License-Identifier: MIT
//
// Gets long statements out of the way before anything is locked: a lock that waited for one would
// make every writer queue up behind it. Waits for them, and then does as the policy says.
//
// Threads: the resource's worker.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "mysql/lock_strategy.h"
#include "mysql/mysql_settings.h"

namespace holdfast::mysql {

class LongStatements {
 public:
  // A little more than the usual threshold: what was there before is old then.
  static constexpr base::Millis kComingOfAge{1100};

  // Borrows the control session and the settings. `own`: sessions that are ours.
  LongStatements(ServerSession& control, const LongStatementSettings& settings,
                 std::vector<std::uint64_t> own)
      : control_(control), settings_(settings), own_(std::move(own)) {}

  // On success nothing old was running a moment ago that `lock` would wait for, nor on MariaDB
  // anything that had run when this began, as far as that ends in kComingOfAge or is old then: what
  // will run for long cannot be told from the rest when it begins. kBusy names what still is.
  [[nodiscard]] base::Result<void> clear(const LockStrategy& lock, const Patience& patience);

  // One line for each statement that clear() killed, also if it failed afterwards.
  [[nodiscard]] const std::vector<std::string>& killed() const { return killed_; }

 private:
  [[nodiscard]] base::Result<std::vector<RunningStatement>> in_the_way(const LockStrategy& lock,
                                                                       const Patience& patience);
  [[nodiscard]] bool is_old(const RunningStatement& statement) const;
  [[nodiscard]] bool is_waited_for(const LockStrategy& lock,
                                   const RunningStatement& statement) const;
  [[nodiscard]] bool may_kill(const RunningStatement& statement) const;
  [[nodiscard]] base::Result<bool> kill_some(const std::vector<RunningStatement>& statements,
                                             const Patience& patience);
  [[nodiscard]] base::Error refusal(const std::vector<RunningStatement>& statements) const;

  ServerSession& control_;
  const LongStatementSettings& settings_;
  std::vector<std::uint64_t> own_;
  // MariaDB's numbers of the statements that ran when clear() began.
  std::optional<std::set<std::uint64_t>> first_;
  base::Deadline of_age_{base::Deadline::in(base::Millis{0})};
  std::set<std::uint64_t> victims_;
  std::vector<std::string> killed_;
};

}  // namespace holdfast::mysql
