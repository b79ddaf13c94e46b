// SPDX-License-Identifier: MIT
//
// Backups of several machines that are one: one window for all of them, and all of them or none.
//
//   locks ── preflight ── guardians      of one after the other, in the order of the names
//   freeze ── instant ── thaw ── judge   side by side, in step: see Meeting
//   copy ── settle                       side by side
//   publish ── bind                      of one after the other; bound in one step
//
// What one cannot do, no one does: everything is thawed, settled and taken back. Across a SIGKILL
// as well: see repository/group.h for what makes the backups of a group appear in one step, and
// Guardian for the thaw. Only what QEMU keeps of a copy that is complete is no reason to lose it:
// that is told beside the backups.
//
// Threads: run() on one thread; the members have threads of their own within it. Ownership: borrows
// the observers, which outlive it; each is called by one thread at a time.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "base/process_runner.h"
#include "run/backup_run.h"

namespace holdfast::host::run {

struct GroupMember {
  BackupRequest request;
  Observer& observer;
};

// How it ended for one member: its backup, what is wrong with it or kept it from one, or (neither)
// that something else kept it from one.
struct MemberOutcome {
  std::string vm;
  std::optional<BackupOutcome> backup = {};
  std::optional<base::Error> error = {};
  // Is it this one that kept all of them? Else its error is what could not be cleared up for it.
  bool to_blame = false;
  // The guardian goes on trying.
  bool may_be_frozen = false;
};

struct GroupOutcome {
  std::string id;
  bool bound = false;
  base::Json record = {};
  std::vector<MemberOutcome> members = {};
  // What kept all of them, and is the fault of none.
  std::optional<base::Error> error = {};
};

class GroupRun {
 public:
  // The members in the order of their names, all of the same repository. `parallel`: so many are
  // copied side by side.
  GroupRun(std::string name, std::vector<GroupMember> members, std::size_t parallel,
           base::ProcessRunner& processes, std::stop_token stop, const std::stop_token& abandon);

  // The locks are held until the object ends.
  [[nodiscard]] GroupOutcome run();

 private:
  using Step = std::function<base::Result<void>(std::size_t index)>;

  struct Way {
    std::size_t limit = 1;  // so many at a time
    bool in_step = false;   // they wait for each other
  };

  // Each on a thread of its own; true if all of them did it. `give_up` is called by who cannot, and
  // makes those end early that are at work.
  bool side_by_side(Way way, const Step& step, const std::function<void()>& give_up);
  // One after the other, to the first that cannot.
  bool in_order(const Step& step);
  bool prepare();
  bool have_room();
  bool take();
  bool copy_and_settle();
  bool publish();
  bool bind();
  void take_back();
  [[nodiscard]] base::Json record() const;

  std::string name_;
  std::vector<std::string> names_;
  std::size_t parallel_;
  std::stop_token stop_;
  base::Millis patience_;
  std::vector<std::unique_ptr<BackupRun>> runs_;
  // What is left in QEMU of each; of one that is published all the same.
  std::vector<std::optional<base::Error>> unsettled_;
  GroupOutcome outcome_;
  base::WallTime begin_;
  std::chrono::nanoseconds together_{0};
};

}  // namespace holdfast::host::run
