// SPDX-License-Identifier: MIT
//
// What every run does with a machine, whatever becomes of the snapshot: lock it, reach its monitor
// and its agent, clear up after an interrupted run, look at its disks, take the instant, and judge
// what level the evidence supports. It knows of no repository.
//
//   lock ── connect ── recover ── look_at_disks ── take_instant ── read_record ── judge
//
// In this order, each once; what a run does besides stands between them. Whatever fails, the guest
// is thawed, or the guardian goes on trying. What the strategy has made is its owner's to settle.
//
// The lock of the machine is held as long as the object lives.
//
// Threads: one at a time. Ownership: borrows the settings and the observer, which outlive it.
// Errors: kLocked, kRefused for a machine that does not run, kBelowRequired, kCancelled after
// `stop`, and what the steps report.
#pragma once

#include <optional>
#include <stop_token>
#include <string>

#include "config/settings.h"
#include "qga/agent.h"
#include "qmp/block_graph.h"
#include "qmp/client.h"
#include "repository/level.h"
#include "repository/lock.h"
#include "run/guardian.h"
#include "run/level.h"
#include "run/meeting.h"
#include "run/observer.h"
#include "snapshot/journal.h"
#include "snapshot/strategy.h"

namespace holdfast::host::run {

class MachineRun {
 public:
  MachineRun(const config::Settings& settings, Observer& observer, std::stop_token stop);

  [[nodiscard]] base::Result<void> lock();
  [[nodiscard]] base::Result<void> connect();
  // The agent, then what an earlier run left, whatever its method. Without an agent only where
  // level `crash` will do.
  [[nodiscard]] base::Result<void> recover(const snapshot::StrategyContext& context);
  [[nodiscard]] base::Result<void> look_at_disks();
  // Forks: called by who wants that done before there are threads, else take_instant() does it.
  [[nodiscard]] base::Result<void> start_guardian(const snapshot::Instant& instant);
  // `instant` is prepared. At a meeting it is one of several, which are taken together or not at
  // all, and none of them without a freeze.
  [[nodiscard]] base::Result<void> take_instant(snapshot::Instant& instant,
                                                Meeting* meeting = nullptr);
  // The guest's record of the window; its lack is evidence, and no error.
  [[nodiscard]] base::Result<void> read_record();
  [[nodiscard]] base::Result<void> judge();

  // The run goes on without an agent if level `crash` will do, else this is its error.
  [[nodiscard]] base::Result<void> do_without_agent(base::Error error);

  // Valid after connect().
  [[nodiscard]] qmp::Client& monitor() { return *monitor_; }
  [[nodiscard]] const qmp::Client& monitor() const { return *monitor_; }
  // Empty: it is of no use.
  [[nodiscard]] std::optional<qga::Agent>& agent() { return agent_; }
  [[nodiscard]] const qmp::BlockGraph& graph() const { return graph_; }
  [[nodiscard]] snapshot::JournalFile& journal() { return journal_; }
  [[nodiscard]] const Evidence& evidence() const { return evidence_; }
  [[nodiscard]] const Verdict& verdict() const { return verdict_; }

  [[nodiscard]] repository::Level required() const;
  [[nodiscard]] base::Deadline monitor_time() const;
  [[nodiscard]] base::Deadline agent_time() const;

  // After a run that failed: the guest could not be thawed, and the guardian goes on trying.
  [[nodiscard]] bool guest_may_be_frozen() const { return guest_may_be_frozen_; }

 private:
  [[nodiscard]] wire::Endpoint monitor_to_guard(const snapshot::Instant& instant) const;
  [[nodiscard]] base::Result<WindowOutcome> take_guarded(snapshot::Instant& instant,
                                                         WindowOutcome before);
  [[nodiscard]] base::Result<void> reach_agent(bool left_by_us);
  [[nodiscard]] base::Error unanswered(base::Error error);

  const config::Settings& settings_;
  Observer& observer_;
  std::stop_token stop_;
  snapshot::JournalFile journal_;
  std::optional<repository::Lock> lock_;
  std::optional<qmp::Client> monitor_;
  std::optional<qga::Agent> agent_;
  std::optional<Guardian> guardian_;
  qmp::BlockGraph graph_;
  Evidence evidence_;
  Verdict verdict_;
  bool guest_may_be_frozen_ = false;
};

}  // namespace holdfast::host::run
