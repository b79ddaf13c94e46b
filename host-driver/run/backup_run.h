// SPDX-License-Identifier: MIT
//
// One backup of one machine, from the lock to the published manifest (design 4.1), as small steps
// over common state. Whatever step fails, the guest is thawed, the overlays are taken away, and
// nothing unpublished remains, as far as the failure itself allows; what is left stands in the
// journal.
//
// The locks of the machine and of its place in the repository are held as long as the object lives.
//
// Threads: run() on one thread. `stop` ends the run at the next safe point; `abandon`, asked for
// later and more urgently, ends the clearing up as well, which the next run then does.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/process_runner.h"
#include "config/settings.h"
#include "definition/definition.h"
#include "image/qemu_img.h"
#include "repository/draft.h"
#include "repository/lock.h"
#include "repository/repository.h"
#include "run/machine_run.h"
#include "run/observer.h"
#include "snapshot/strategy.h"

namespace holdfast::host::run {

class Sealing;

struct GroupOf {
  std::string name;
  std::vector<std::string> members;
};

struct BackupRequest {
  config::Settings settings;
  bool keep_failed = false;
  // No increments this time.
  bool full = false;
  // The repository may be made anew though this host has published backups in it.
  bool new_repository = false;
  // Of the group to which this backup belongs; empty: it stands for itself.
  GroupOf group = {};
  // Called once with the id of the backup to be, when the machine is reached, its guest thawed and
  // nothing attached yet; its error ends the run.
  std::function<base::Result<void>(const std::string& id)> before_it_begins = {};
};

struct BackupOutcome {
  std::string directory;
  base::Json manifest;
  repository::Level level = repository::Level::kCrash;
};

// One copied disk.
struct CopiedDisk {
  qmp::Disk disk;
  snapshot::DiskPlan plan;
  std::string file;
  std::uint64_t bytes = 0;
  std::string sha256;
};

// The memory, where the method keeps it.
struct CopiedMemory {
  snapshot::KeptMemory kept;
  std::string file;
  bool compressed = false;
  std::uint64_t bytes = 0;
  std::string sha256;
};

class BackupRun {
 public:
  BackupRun(BackupRequest request, base::ProcessRunner& processes, Observer& observer,
            std::stop_token stop, std::stop_token abandon);

  // kLocked, kBelowRequired, kCancelled, and what the steps report. An error beside a published
  // backup (the overlays could not be committed) says so.
  [[nodiscard]] base::Result<BackupOutcome> run();

  // The same in steps, for a run that is one of several: in this order, each once, and fail() after
  // one that failed, be it another one's. Locks are not waited for.
  [[nodiscard]] base::Result<void> take_locks();
  // With this id in place of one of its own; the locks are held.
  [[nodiscard]] base::Result<void> prepare(const std::string& id);
  // Of the repository, for the copy; what it has is not asked after with regard to others.
  [[nodiscard]] std::uint64_t needed_bytes() const { return needed_; }
  // The last step that forks before the window.
  [[nodiscard]] base::Result<void> stand_by();
  // To the judgement, which asks for a freeze beside what is required. No error where another one
  // kept this one from it, or broke it up after it.
  [[nodiscard]] base::Result<void> take_together(Meeting& meeting);
  [[nodiscard]] base::Result<void> copy(const std::stop_token& stop);
  // What is left in QEMU of it does not make the copy any worse.
  [[nodiscard]] base::Result<void> settle();
  // Under its name, and not to be taken for a backup before its group is bound.
  [[nodiscard]] base::Result<BackupOutcome> publish_unbound();
  // Takes back what was published.
  [[nodiscard]] base::Result<void> withdraw();
  // The group is bound.
  void finish();
  // What settle() reported, of a backup that is published all the same.
  [[nodiscard]] base::Error left_in_qemu(base::Error error) const;
  [[nodiscard]] base::Error fail(base::Error error) { return after_failure(std::move(error)); }
  [[nodiscard]] const repository::Repository& repository() const { return *repository_; }
  [[nodiscard]] const std::string& vm() const { return settings_.vm; }

  // After a run that failed: the guest could not be thawed, and the guardian goes on trying.
  [[nodiscard]] bool guest_may_be_frozen() const { return machine_.guest_may_be_frozen(); }

 private:
  // preflight.cpp
  [[nodiscard]] base::Result<void> preflight();
  [[nodiscard]] base::Result<void> check_compression();
  [[nodiscard]] base::Result<void> look_at_disks();
  [[nodiscard]] base::Result<void> check_space();
  // trim.cpp
  [[nodiscard]] base::Result<void> trim();
  [[nodiscard]] base::Result<void> wait_for_agent();
  // increment.cpp
  void find_parent(const std::string& id);
  [[nodiscard]] snapshot::Parent parent_in(const repository::Backup& latest) const;
  void tell_plan();
  // Leaves the dirty bitmaps that belong to the latest published backup. What fails here is done
  // by the next run; the administrator is told.
  void keep_bitmaps(const std::string& latest);
  // backup_run.cpp
  [[nodiscard]] base::Result<void> judge_level();
  [[nodiscard]] base::Result<BackupOutcome> copy_and_publish();
  [[nodiscard]] base::Error after_failure(base::Error error);
  // copy.cpp
  [[nodiscard]] base::Result<void> copy_disks(const std::stop_token& stop);
  [[nodiscard]] base::Result<CopiedDisk> write_copy(std::size_t index, const std::stop_token& stop);
  // Of the latest copy.
  [[nodiscard]] base::Result<void> take_seal(Sealing& sealing);
  // "vda (1/2)"
  [[nodiscard]] std::string label_of(std::size_t index) const;
  // memory.cpp
  [[nodiscard]] base::Result<void> await_memory(const std::stop_token& stop);
  [[nodiscard]] base::Result<void> keep_memory(const std::stop_token& stop);
  [[nodiscard]] base::Result<void> compress_memory(const std::stop_token& stop);
  [[nodiscard]] base::Json memory_json() const;
  // definition.cpp
  void take_definition();
  [[nodiscard]] base::Result<void> save_definition();
  // publish.cpp
  [[nodiscard]] base::Json manifest() const;

  BackupRequest request_;
  const config::Settings& settings_;
  Observer& observer_;
  std::stop_token stop_;
  std::stop_token abandon_;
  image::QemuImg images_;
  MachineRun machine_;

  std::optional<repository::Lock> repository_lock_;
  std::optional<repository::Repository> repository_;
  definition::Definition definition_;
  std::string qemu_img_version_;
  // The latest published backup, whether or not an increment can stand on it; empty: none.
  std::string latest_id_;
  bool is_first_ = false;
  snapshot::Parent parent_;
  // Its disks that the machine has no more.
  std::vector<std::string> gone_;
  std::vector<snapshot::DiskPlan> plan_;
  std::optional<repository::Draft> draft_;
  std::unique_ptr<snapshot::Strategy> strategy_;
  bool to_settle_ = false;
  std::uint64_t needed_ = 0;
  std::vector<CopiedDisk> copied_;
  std::optional<CopiedMemory> memory_;
  // As in the manifest; null: not asked for.
  base::Json trim_;
  base::WallTime begin_;
  base::MonoTime copy_begin_;
  base::MonoTime copy_end_;
};

}  // namespace holdfast::host::run
