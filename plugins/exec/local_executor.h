// SPDX-License-Identifier: MIT
//
// Runs the programs of an exec resource in this process's name. See executor.h for the contract.
//
// No shell; a process group and a deadline for each program; an environment made from nothing. For
// a directory, only exit status 0 is success: what stands there are hooks of the guest agent, which
// know nothing of ours.
#pragma once

#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "base/process_runner.h"
#include "exec/exec_settings.h"
#include "exec/executor.h"

namespace holdfast::exec {

// What may be run: anything that we can, or only what root alone could have put there.
enum class Trust { kAny, kRootOnly };

// Files that editors and packaging leave behind, which the guest agent's dispatcher skips too
// (QEMU, scripts/qemu-guest-agent/fsfreeze-hook).
[[nodiscard]] bool is_leftover(const std::string& file_name);

class LocalExecutor final : public Executor {
 public:
  // `resource` goes into the programs' environment. `processes` is borrowed and outlives this.
  // `debt_file`: stands as long as a thaw may be owed, so that the next process can tell it if this
  // one is killed; its first probe() does. Empty: somebody else sees to that.
  LocalExecutor(ExecSettings settings, std::string resource, base::ProcessRunner& processes,
                Trust trust, std::string debt_file = {});

  [[nodiscard]] base::Result<std::string> probe(const Call& call) override;
  [[nodiscard]] base::Result<void> prepare(const Call& call) override;
  [[nodiscard]] base::Result<void> freeze(const Call& call) override;
  [[nodiscard]] base::Result<void> check(const Call& call) override;
  [[nodiscard]] base::Result<void> thaw(const Call& call) override;
  [[nodiscard]] bool has_programs() const override { return has_programs_; }
  void rollback(base::Deadline deadline) override;
  [[nodiscard]] int watch_fd() const override { return -1; }
  void interrupt() override;

  // Does anything still have to be told `thaw`?
  [[nodiscard]] bool owes() const { return !owed_.empty(); }
  // Owes a thaw to every program: for a window that somebody else began and can't end.
  [[nodiscard]] base::Result<void> owe_all();

 private:
  struct Run {
    base::ProcessOutcome outcome;
    std::string what;  // "program verb", for messages
  };

  // The programs in the order of the freeze.
  [[nodiscard]] base::Result<std::vector<std::string>> programs() const;
  // May it be run, and is it there? Before each run, since files change.
  [[nodiscard]] base::Result<void> admit(const std::string& program) const;
  [[nodiscard]] Run run(const std::string& program, const char* verb, const Call& call,
                        base::Deadline deadline);
  // A verb that programs need not know: true if it was done, false if it is not supported.
  [[nodiscard]] base::Result<bool> run_optional(const char* verb, const Call& call);
  [[nodiscard]] base::Result<void> freeze_one(const std::string& program, const Call& call);
  void owe(const std::string& program);
  // Before the first program of a window is run.
  [[nodiscard]] base::Result<void> note_debt() const;
  // Tells `thaw` to every program if an earlier process left without doing so.
  [[nodiscard]] base::Result<void> pay_old_debt(const Call& call);

  ExecSettings settings_;
  std::string resource_;
  base::ProcessRunner& processes_;
  Trust trust_;
  std::string debt_file_;
  std::vector<std::string> owed_;
  std::string window_;  // the one that owed_ belongs to
  bool has_programs_ = true;
  std::mutex mutex_;  // guards running_
  std::stop_source running_{std::nostopstate};
};

}  // namespace holdfast::exec
