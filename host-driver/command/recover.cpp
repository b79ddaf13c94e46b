// SPDX-License-Identifier: MIT
#include <unistd.h>

#include <iostream>
#include <optional>

#include "base/text.h"
#include "command/commands.h"
#include "command/container.h"
#include "qga/fsfreeze.h"
#include "repository/repository.h"
#include "run/channel.h"
#include "run/points.h"
#include "run/state.h"
#include "run/strategy_context.h"
#include "snapshot/checkpoint/release.h"
#include "snapshot/standstill.h"

namespace holdfast::host::command {

using base::Deadline;
using base::Json;
using base::Result;

namespace {

// A guest that an interrupted run left frozen. An agent that does not answer is no reason to leave
// the disks as they are.
void thaw_leftover(const config::Settings& settings, std::vector<std::string>& done,
                   Environment& environment) {
  const wire::Endpoint endpoint = run::agent_endpoint(settings);
  if (endpoint.empty()) return;
  auto connected = qga::Agent::connect(endpoint, Deadline::in(settings.agent_timeout));
  if (!connected) return complain(connected.error());
  std::optional<qga::Agent> agent(std::move(*connected));
  const auto state =
      qga::freeze_state(*agent, Deadline::in(settings.agent_timeout), environment.stop);
  if (!state) return complain(state.error());
  if (*state == qga::FreezeState::kThawed) return;
  auto thawed = qga::thaw_for_sure(agent, endpoint, Deadline::in(settings.thaw_timeout));
  if (!thawed) return complain(thawed.error());
  done.emplace_back("thawed the guest");
}

Result<std::vector<std::string>> recover_one(const config::Settings& settings,
                                             Environment& environment) {
  const auto lock = run::lock_machine(settings);
  if (!lock) return lock.error();
  std::vector<std::string> done;
  snapshot::JournalFile journal(run::journal_path(settings));
  auto leftover = journal.load();
  if (!leftover) return leftover.error();
  const auto points = run::points_of(settings).load();
  if (!points) return points.error();
  auto monitor = qmp::Client::connect(run::monitor_endpoint(settings),
                                      Deadline::in(settings.qmp_timeout), environment.stop);
  const snapshot::MemoryNoteFile note(journal.path());
  const bool checkpoint = ::access(note.path().c_str(), F_OK) == 0;
  if (monitor) {
    auto released = release_machine(*monitor, note, snapshot::Wait::kYes,
                                    Deadline::in(settings.settle_timeout));
    if (!released) return released;
    done = std::move(*released);
  }
  if (*leftover && (*leftover)->resume && monitor) {
    // A guest that is stopped cannot thaw.
    const auto gone_on = snapshot::go_on(*monitor, Deadline::in(settings.qmp_timeout));
    if (!gone_on) return gone_on.error();
    if (*gone_on) done.emplace_back("let the machine go on");
  }
  image::QemuImg images(environment.processes, settings.qemu_img);
  if (points->revert && points->revert->resume && monitor) {
    // The same of a machine that was put back to its memory.
    auto finished = run::finish_points(settings, images, &*monitor);
    if (!finished) return finished;
    done.insert(done.end(), finished->begin(), finished->end());
  }
  const bool off = !monitor && !run::is_by_libvirt(settings) &&
                   monitor.error().code() == base::ErrorCode::kUnreachable;
  if (off) {
    const auto left = run::leave_journal_to_points(settings);
    if (!left) return left.error();
    if (*left) leftover->reset();
  }
  if (*leftover || points->unfinished() || checkpoint) thaw_leftover(settings, done, environment);
  if (off && !*leftover) {
    // Nothing but restore points can be finished while the machine is off.
    auto finished = run::finish_points(settings, images, nullptr);
    if (!finished || !finished->empty()) return finished;
  }
  if (!monitor) return std::move(monitor).error();
  auto recovered = run::recover_leftovers(
      settings, run::strategy_context(settings, *monitor, images, journal, "recover"),
      Deadline::in(settings.settle_timeout), environment.stop);
  if (!recovered) return recovered;
  done.insert(done.end(), recovered->begin(), recovered->end());
  const auto finished = run::finish_points(settings, images, &*monitor);
  if (!finished) return finished.error();
  done.insert(done.end(), finished->begin(), finished->end());
  if (settings.repository.empty()) return done;
  const auto repository = repository::Repository::open(settings.repository);
  if (!repository) return repository.error();
  // The bitmaps of runs that were not published.
  const auto latest = repository->find(settings.vm, "latest");
  if (auto there = repository->still_there(); !there) return std::move(there).error();
  if (latest || latest.error().code() == base::ErrorCode::kNotFound) {
    const auto kept = run::keep_bitmaps(settings, *monitor, repository->tag(),
                                        latest ? latest->manifest.id : std::string());
    if (!kept) return kept.error();
  }
  if (!repository->vm_directory(settings.vm)) return done;
  auto removed = repository->remove_incomplete(settings.vm);
  if (!removed) return removed;
  for (const std::string& name : *removed)
    done.push_back("removed the unfinished '" + base::printable(name) + "'");
  return done;
}

}  // namespace

Result<int> recover(const Invocation& invocation, Environment& environment) {
  Json all = Json::array();
  int status = 0;
  for (const std::string& vm : invocation.arguments) {
    const auto settings = settings_for(invocation, vm, Needs::kMonitor);
    if (!settings) return settings.error();
    const auto done = settings->container.empty()
                          ? recover_one(*settings, environment)
                          : recover_container_by_hand(*settings, environment);
    if (!done) {
      if (invocation.arguments.size() == 1) return done.error();
      complain(base::wrap(done.error(), vm));
      status = 1;
      continue;
    }
    if (!invocation.json && !invocation.quiet) {
      if (done->empty()) std::cout << vm << ": nothing to recover" << std::endl;
      for (const std::string& line : *done)
        std::cout << vm << ": " << line << std::endl;
    }
    all.push_back({{"vm", vm}, {"done", *done}});
  }
  if (invocation.json) std::cout << base::to_document(all);
  return status;
}

}  // namespace holdfast::host::command
