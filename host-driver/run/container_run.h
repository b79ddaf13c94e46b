// SPDX-License-Identifier: MIT
//
// One backup of one container, from the lock to the published manifest. As of a machine, with other
// means at each step:
//
//   preflight  locks; the container, its root, its control group; leftovers of an earlier run
//   guard      a guardian takes over the thaw
//   freeze     holdfastctl freeze inside, where there is one; then all of its processes are stopped
//   snapshot   of the subvolume or the logical volume that holds its root
//   thaw       the processes go on; holdfastctl thaw; the container's freeze record
//   archive    tar of the snapshot, compressed, when there is a place for one more archive
//   settle     the snapshot goes
//   publish    as of a machine
//
// The locks are held as long as the object lives.
//
// Threads: run() on one thread; `stop` ends it at the next safe point.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "container/agent_inside.h"
#include "container/freezer.h"
#include "container/manager.h"
#include "container/other_mounts.h"
#include "container/root_snapshot.h"
#include "run/backup_run.h"
#include "run/guardian.h"
#include "run/place.h"

namespace holdfast::host::run {

class ContainerRun {
 public:
  ContainerRun(BackupRequest request, base::ProcessRunner& processes, Observer& observer,
               std::stop_token stop);

  // As BackupRun::run().
  [[nodiscard]] base::Result<BackupOutcome> run();

  // After a run that failed: the guardian goes on trying.
  [[nodiscard]] bool guest_may_be_frozen() const { return may_be_frozen_; }

 private:
  [[nodiscard]] base::Result<void> preflight();
  [[nodiscard]] base::Result<void> look_at_container();
  [[nodiscard]] base::Result<void> look_at_root(const std::string& id);
  [[nodiscard]] base::Result<void> look_at_agent();
  [[nodiscard]] base::Result<void> check_space();
  // container_window.cpp
  [[nodiscard]] base::Result<void> take_instant();
  [[nodiscard]] base::Result<void> run_window(Guardian& guardian, WindowOutcome& outcome);
  [[nodiscard]] base::Result<void> freeze();
  void end_window(WindowOutcome& outcome, bool agent);
  void take(WindowOutcome& outcome);
  void read_record();
  [[nodiscard]] base::Result<void> judge();
  // container_run.cpp
  [[nodiscard]] base::Result<void> archive();
  [[nodiscard]] base::Result<void> settle();
  [[nodiscard]] base::Result<void> save_journal(bool frozen);
  [[nodiscard]] base::Result<BackupOutcome> archive_and_publish();
  [[nodiscard]] base::Error after_failure(base::Error error);
  [[nodiscard]] base::Json manifest() const;

  BackupRequest request_;
  const config::Settings& settings_;
  base::ProcessRunner& processes_;
  Observer& observer_;
  std::stop_token stop_;
  std::unique_ptr<container::Manager> manager_;
  container::AgentInside agent_;
  snapshot::JournalFile journal_file_;

  std::optional<repository::Lock> lock_;
  std::optional<Place> place_;
  container::Found found_;
  std::vector<container::OtherMount> other_mounts_;
  std::vector<std::string> left_out_;
  std::unique_ptr<container::RootSnapshot> root_;
  bool has_agent_ = false;
  std::optional<repository::Draft> draft_;
  // In the journal, and so to be removed.
  snapshot::Journal journal_;
  bool to_settle_ = false;
  bool may_be_frozen_ = false;
  Evidence evidence_;
  Verdict verdict_;
  std::uint64_t bytes_ = 0;
  std::uint64_t entries_ = 0;
  std::string sha256_;
  base::WallTime begin_;
  base::MonoTime copy_begin_;
  base::MonoTime copy_end_;
};

}  // namespace holdfast::host::run
