// SPDX-License-Identifier: MIT
//
// Freeze, one transaction, thaw: nothing else, and the thaw whatever happens.
//
// Threads: one at a time. Errors: what happened is told in the outcome; only a guest that could not
// be thawed is an error of the call, and then the guardian goes on trying.
#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "config/settings.h"
#include "qga/agent.h"
#include "run/guardian.h"
#include "run/meeting.h"
#include "snapshot/instant.h"

namespace holdfast::host::run {

using Span = std::chrono::nanoseconds;

struct WindowOutcome {
  // Was a freeze sent at all?
  bool attempted = false;
  std::optional<std::int64_t> freeze_count;
  std::optional<base::Error> freeze_error;
  // The transaction was tried, and what it said.
  bool tried = false;
  std::optional<base::Error> snapshot_error;
  // The guest said 'frozen' after the transaction.
  bool frozen_after = false;
  std::optional<std::int64_t> thaw_count;
  std::optional<base::Error> thaw_error;
  std::optional<int> hook_status;  // of the thaw hook, if it failed

  base::WallTime begin;
  Span freeze_call{0};  // guest-fsfreeze-freeze, sent to answered
  Span transaction{0};  // the same of the transaction
  Span thaw_call{0};    // the same of guest-fsfreeze-thaw
  Span frozen{0};       // freeze answered to thaw answered
  Span total{0};        // freeze sent to thaw answered

  [[nodiscard]] bool taken() const { return tried && !snapshot_error; }
};

// With a freeze; where it is one of several, the others are at the `meeting`: what keeps this one
// from an instant keeps all of them from it. `agent` may come back empty, if its connection was of
// no use any more.
[[nodiscard]] base::Result<WindowOutcome> run_window(const config::Settings& settings,
                                                     std::optional<qga::Agent>& agent,
                                                     Guardian& guardian, snapshot::Instant& instant,
                                                     Meeting* meeting, const std::stop_token& stop);

// Without: the instant alone, for level `crash`.
[[nodiscard]] WindowOutcome take_unfrozen(const config::Settings& settings,
                                          snapshot::Instant& instant, WindowOutcome before);

}  // namespace holdfast::host::run
