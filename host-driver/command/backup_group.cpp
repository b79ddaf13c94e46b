// SPDX-License-Identifier: MIT
#include "command/backup_group.h"

#include <algorithm>
#include <deque>
#include <iostream>
#include <mutex>

#include "base/text.h"
#include "command/backup_machine.h"
#include "command/restore.h"
#include "command/run_commands.h"
#include "repository/group.h"
#include "repository/repository.h"
#include "run/group_run.h"
#include "ui/progress_board.h"

namespace holdfast::host::command {

using base::Error;
using base::ErrorCode;
using base::Result;
using config::Settings;

namespace {

// What the members' threads say, a line each, on one terminal.
class SharedBoard {
 public:
  explicit SharedBoard(bool quiet) : quiet_(quiet), board_(!quiet && ui::terminal_attached()) {}

  void step(const std::string& vm, const std::string& name) {
    const std::lock_guard lock(mutex_);
    board_.step(vm, name);
  }
  void progress(const std::string& vm, const std::string& label, double percent) {
    const std::lock_guard lock(mutex_);
    board_.update(vm, label, percent);
  }
  void note(const std::string& vm, const std::string& text) {
    if (quiet_) return;
    const std::lock_guard lock(mutex_);
    board_.clear();
    say(vm + ": " + text);
  }
  void end() { board_.clear(); }

 private:
  bool quiet_;
  std::mutex mutex_;
  ui::ProgressBoard board_;
};

class MemberObserver final : public run::Observer {
 public:
  MemberObserver(std::string vm, SharedBoard& board) : vm_(std::move(vm)), board_(board) {}

  void step(const std::string& name) override { board_.step(vm_, name); }
  void progress(const std::string& label, double percent) override {
    board_.progress(vm_, label, percent);
  }
  void note(const std::string& text) override { board_.note(vm_, text); }

 private:
  std::string vm_;
  SharedBoard& board_;
};

Result<void> check_together(const std::vector<Settings>& members, const std::string& group) {
  const auto wrong = [](const std::string& what, const std::string& hint) {
    return Error(ErrorCode::kConfiguration, what).with_hint(hint);
  };
  if (members.size() < 2) {
    return wrong("the group '" + group + "' has " + std::to_string(members.size()) +
                     (members.size() == 1 ? " machine" : " machines"),
                 "set 'group = " + group + "' in the files of its machines in vms.d");
  }
  const auto differ = [&](const Settings& member, const std::string& what,
                          const std::string& hint) {
    return wrong("'" + members.front().vm + "' and '" + member.vm + "' of the group '" + group +
                     "' have different " + what,
                 hint);
  };
  for (const Settings& member : members) {
    if (member.repository != members.front().repository) {
      return differ(member, "repositories", "a group is bound in one");
    }
    if (!(member.keep == members.front().keep)) {
      return differ(member, "keep- rules", "a group stays or goes as a whole");
    }
  }
  return {};
}

// In the order of their names. A file that cannot be understood may be a member's.
Result<std::vector<Settings>> members_of(const Invocation& invocation) {
  if (!base::is_plain_name(invocation.group)) {
    return Error(ErrorCode::kUsage,
                 "'" + base::printable(invocation.group, 64) + "' is not the name of a group");
  }
  const auto names = config::configured_vms(invocation.config_directory);
  if (!names) return names.error();
  std::vector<Settings> members;
  for (const std::string& vm : *names) {
    const auto some = settings_for(invocation, vm, Needs::kNothing);
    if (!some) return base::wrap(some.error(), vm);
    if (some->group != invocation.group) continue;
    if (invocation.all && !some->enabled) {
      return Error(ErrorCode::kConfiguration,
                   "'" + vm + "' of the group '" + invocation.group + "' is not enabled")
          .with_hint("--all takes a group whole; 'enabled = no' for all of them leaves it out");
    }
    auto settings = settings_for(invocation, vm, Needs::kBackup);
    if (!settings) return base::wrap(std::move(settings).error(), vm);
    members.push_back(std::move(*settings));
  }
  if (auto right = check_together(members, invocation.group); !right) {
    return std::move(right).error();
  }
  return members;
}

// What is told of those that did nothing wrong.
Error because_of(const run::GroupOutcome& outcome, const std::string& group) {
  const std::string what = "nothing is published of the group '" + group + "'";
  if (outcome.error) return base::wrap(*outcome.error, what);
  std::string names;
  ErrorCode code = ErrorCode::kCancelled;
  for (const run::MemberOutcome& member : outcome.members) {
    if (!member.to_blame) continue;
    if (names.empty()) code = member.error->code();
    names += (names.empty() ? "'" : ", '") + member.vm + "'";
  }
  return {code, what + ", because of " + names};
}

// What it came to for one of them, and what becomes of its older backups.
RunReport report_member(const run::MemberOutcome& member, const run::GroupOutcome& outcome,
                        const Settings& settings, Environment& environment) {
  const bool failed = member.error || !outcome.bound;
  if (failed) {
    RunReport report = report_failure(
        settings.vm, member.error ? *member.error : because_of(outcome, settings.group));
    report.by_another = !outcome.bound && !outcome.error && !member.to_blame;
    return report;
  }
  RunReport report = report_of(*member.backup, settings);
  retain(report, settings, environment);
  return report;
}

}  // namespace

Result<GroupReport> back_up_group(const Invocation& invocation, Environment& environment) {
  const auto members = members_of(invocation);
  if (!members) return members.error();
  const auto begin = std::chrono::system_clock::now();
  SharedBoard board(invocation.quiet);
  std::deque<MemberObserver> observers;
  std::vector<run::GroupMember> requests;
  std::vector<std::string> begun(members->size());
  for (std::size_t i = 0; i < members->size(); ++i) {
    const Settings& settings = (*members)[i];
    MemberObserver& observer = observers.emplace_back(settings.vm, board);
    const auto before_it_begins = [&, i](const std::string& id) {
      begun[i] = id;
      if (!settings.pre_command.empty()) observer.step("pre-command");
      return run_pre_command(settings, id, environment.processes, environment.stop);
    };
    requests.push_back({{.settings = settings,
                         .full = invocation.full,
                         .new_repository = invocation.new_repository,
                         .before_it_begins = before_it_begins},
                        observer});
  }
  const auto parallel = static_cast<std::size_t>(members->front().parallel);
  // It holds the locks for what follows.
  run::GroupRun group(invocation.group, std::move(requests), parallel, environment.processes,
                      environment.stop, environment.abandon);
  const run::GroupOutcome outcome = group.run();
  GroupReport report{.record = outcome.bound ? outcome.record : base::Json(), .machines = {}};
  for (std::size_t i = 0; i < members->size(); ++i) {
    const Settings& settings = (*members)[i];
    const run::MemberOutcome& member = outcome.members[i];
    RunReport one = report_member(member, outcome, settings, environment);
    one.group = invocation.group;
    conclude(one, settings, begun[i], member.may_be_frozen, environment, observers[i]);
    measure(one, settings, begin, observers[i]);
    report.machines.push_back(std::move(one));
  }
  board.end();
  return report;
}

Result<int> restore_group(const Invocation& invocation, Environment& environment) {
  const auto settings = settings_for(invocation, "", Needs::kRepository);
  if (!settings) return settings.error();
  const auto repository = repository::Repository::open(settings->repository);
  if (!repository) return repository.error();
  const auto group = repository::find_group(repository->path(), invocation.group);
  if (!group) return group.error();
  // All of them are there, before the first one is written.
  for (const std::string& vm : group->members) {
    if (auto there = repository->find(vm, group->id); !there) return std::move(there).error();
  }
  base::Json machines = base::Json::array();
  for (const std::string& vm : group->members) {
    Invocation one = invocation;
    one.group.clear();
    one.arguments = {vm, group->id};
    one.to = invocation.to + "/" + vm;
    // Whatever the machine's own file says.
    one.overrides.push_back({"repository", repository->path(), "--repository"});
    auto restored = restore_machine(one, environment);
    if (!restored) return base::wrap(std::move(restored).error(), vm);
    machines.push_back(std::move(*restored));
  }
  if (invocation.json) {
    std::cout << base::to_document(
        {{"group", {{"id", group->id}, {"name", group->name}}}, {"machines", std::move(machines)}});
  }
  return 0;
}

}  // namespace holdfast::host::command
