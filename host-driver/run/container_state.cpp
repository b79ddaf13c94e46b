// SPDX-License-Identifier: MIT
#include "run/container_state.h"

#include <sys/stat.h>

#include <filesystem>

#include "base/look_until.h"
#include "base/text.h"
#include "container/agent_inside.h"
#include "container/freezer.h"
#include "container/root_snapshot.h"
#include "run/state.h"

namespace holdfast::host::run {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Millis;
using base::ProcessRunner;
using base::Result;

namespace {

constexpr Millis kAskAgain{200};

// Until it succeeds; what it came to in the end.
template <typename Attempt>
Result<void> again_and_again(Deadline deadline, const Attempt& attempt) {
  Result<void> last;
  (void)base::look_until(deadline, kAskAgain, [&] {
    last = attempt();
    return static_cast<bool>(last);
  });
  return last;
}

bool is_gone(const std::string& cgroup) {
  struct stat status {};
  return ::stat(cgroup.c_str(), &status) != 0;
}

// With no complaint but the verdict of the window, which is nobody's any more.
Result<void> let_go(const config::Settings& settings, ProcessRunner& processes) {
  const auto manager = container::make_manager(settings.container, processes);
  auto answer =
      container::AgentInside(*manager, processes).thaw(Deadline::in(settings.thaw_timeout));
  if (!answer) return std::move(answer).error();
  return {};
}

}  // namespace

Result<void> release_container(const config::Settings& settings, ProcessRunner& processes,
                               const std::string& cgroup, bool agent, Deadline deadline) {
  const container::Freezer freezer(cgroup);
  auto thawed = again_and_again(deadline, [&] {
    return freezer.thaw(deadline.earlier_of(Deadline::in(settings.thaw_timeout)));
  });
  if (!thawed || !agent) return thawed;
  auto released = again_and_again(deadline, [&] {
    auto done = let_go(settings, processes);
    return is_gone(cgroup) ? Result<void>() : done;
  });
  if (released) return released;
  return base::wrap(std::move(released).error(), "unable to make the container's Holdfast let go")
      .with_hint("it lets go by itself after its max-hold");
}

Result<std::vector<std::string>> recover_container(const config::Settings& settings,
                                                   ProcessRunner& processes) {
  std::vector<std::string> done;
  const snapshot::JournalFile file(journal_path(settings));
  const auto journal = file.load();
  if (!journal) return journal.error();
  if (!journal->has_value()) return done;
  if ((*journal)->method != kContainerMethod) {
    return Error(ErrorCode::kRefused, "the journal is of a run of method '" +
                                          base::printable((*journal)->method, 40) +
                                          "', and no container's")
        .with_hint("clear up with the settings of before: '" + settings.vm + "' was a machine");
  }
  if (const std::string& cgroup = (*journal)->cgroup; !cgroup.empty()) {
    const auto asked = container::Freezer(cgroup).is_asked();
    auto released = release_container(settings, processes, cgroup, (*journal)->resume,
                                      Deadline::in(settings.thaw_timeout * 2));
    if (!released) return std::move(released).error();
    if (asked && *asked) done.emplace_back("let the container go on, which was frozen");
  }
  if (const std::string& tree = (*journal)->tree; !tree.empty()) {
    // The container may change what is in it while this goes on; no link is followed.
    std::error_code problem;
    (void)std::filesystem::remove_all(tree, problem);
    if (problem) {
      return base::errno_error(problem.value(), "unable to remove '" + base::printable(tree) + "'");
    }
    done.emplace_back("removed what a restore into the container had set aside");
  }
  for (const snapshot::JournalSnapshot& entry : (*journal)->snapshots) {
    auto removed =
        container::remove_by_journal(entry, processes, Deadline::in(settings.settle_timeout));
    if (!removed) return base::wrap(std::move(removed).error(), "unable to clear up");
  }
  done.emplace_back("removed the snapshot of the interrupted run");
  if (auto removed = file.remove(); !removed) return std::move(removed).error();
  return done;
}

}  // namespace holdfast::host::run
