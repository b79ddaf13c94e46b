// SPDX-License-Identifier: MIT
#include "command/container.h"

#include <iostream>

#include "base/text.h"
#include "container/agent_inside.h"
#include "container/freezer.h"
#include "repository/repository.h"
#include "run/container_state.h"
#include "run/state.h"

namespace holdfast::host::command {

using base::Deadline;
using base::Json;
using base::Result;

Json container_status(const config::Settings& settings, Environment& environment) {
  const auto time = [&] { return Deadline::in(settings.agent_timeout); };
  const auto journal = snapshot::JournalFile(run::journal_path(settings)).load();
  Json json{{"vm", settings.vm},
            {"container", settings.container.manager + ":" + settings.container.name},
            {"state", "unknown"},
            {"agent", nullptr},
            {"journal", !journal   ? journal.error().text()
                        : *journal ? "a run is under way or was interrupted: holdfast recover"
                                   : "clean"}};
  const auto manager = container::make_manager(settings.container, environment.processes);
  const auto found = manager->find(time(), environment.stop);
  if (!found) {
    json["problem"] = found.error().text();
    return json;
  }
  json["root"] = base::printable(found->root);
  const auto frozen = container::Freezer(found->cgroup).is_frozen();
  if (!frozen) {
    json["problem"] = frozen.error().text();
    return json;
  }
  json["state"] = *frozen ? "frozen" : "running";
  if (*frozen) return json;  // nothing can be asked in it
  const auto there =
      container::AgentInside(*manager, environment.processes).look(time(), environment.stop);
  json["agent"] = there ? "holdfastctl is there" : there.error().text();
  return json;
}

void print_container_status(const Json& json) {
  const auto text = [&](const char* key) {
    return base::printable(base::string_member(json, key).value_or("-"));
  };
  std::cout << text("vm") << ":\n  container: " << text("container") << ", "
            << (json.contains("problem") ? text("problem") : text("state"))
            << "\n  agent:     " << text("agent") << "\n  journal:   " << text("journal")
            << std::endl;
}

Result<void> thaw_container(const config::Settings& settings, Environment& environment) {
  const auto manager = container::make_manager(settings.container, environment.processes);
  const auto found = manager->find(Deadline::in(settings.agent_timeout), environment.stop);
  if (!found) return found.error();
  auto thawed = container::Freezer(found->cgroup).thaw(Deadline::in(settings.thaw_timeout));
  if (!thawed) return thawed;
  container::AgentInside agent(*manager, environment.processes);
  const bool there =
      static_cast<bool>(agent.look(Deadline::in(settings.agent_timeout), environment.stop));
  return run::release_container(settings, environment.processes, found->cgroup, there,
                                Deadline::in(settings.thaw_timeout));
}

Result<std::vector<std::string>> recover_container_by_hand(const config::Settings& settings,
                                                           Environment& environment) {
  const auto lock = run::lock_machine(settings);
  if (!lock) return lock.error();
  auto done = run::recover_container(settings, environment.processes);
  if (!done || settings.repository.empty()) return done;
  const auto repository = repository::Repository::open(settings.repository);
  if (!repository) return repository.error();
  if (!repository->vm_directory(settings.vm)) return done;
  const auto removed = repository->remove_incomplete(settings.vm);
  if (!removed) return removed.error();
  for (const std::string& name : *removed)
    done->push_back("removed the unfinished '" + base::printable(name) + "'");
  return done;
}

}  // namespace holdfast::host::command
