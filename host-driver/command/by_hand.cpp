// SPDX-License-Identifier: MIT
//
// Freezing and thawing by hand, and looking.
#include <iostream>
#include <optional>

#include "base/text.h"
#include "command/commands.h"
#include "command/container.h"
#include "qga/fsfreeze.h"
#include "run/channel.h"
#include "run/state.h"
#include "snapshot/journal.h"

namespace holdfast::host::command {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;

namespace {

Json monitor_status(const config::Settings& settings, Environment& environment) {
  const auto deadline = [&] { return Deadline::in(settings.qmp_timeout); };
  const wire::Endpoint endpoint = run::monitor_endpoint(settings);
  if (endpoint.empty()) return {{"problem", "not configured"}};
  auto monitor = qmp::Client::connect(endpoint, deadline(), environment.stop);
  if (!monitor) return {{"problem", monitor.error().text()}};
  const auto state = monitor->execute("query-status", Json::object(), deadline(), environment.stop);
  const auto graph = run::read_graph(settings, *monitor);
  Json json{
      {"version", monitor->version()},
      {"state", state ? base::printable(base::string_member(*state, "status").value_or("?"), 40)
                      : "unknown"},
      {"disks", Json::array()}};
  if (!graph) {
    json["problem"] = graph.error().text();
    return json;
  }
  for (const qmp::Disk& disk : graph->disks) {
    json["disks"].push_back({{"name", disk.name},
                             {"path", disk.chain.front().path},
                             {"format", disk.chain.front().format},
                             {"virtual_size", disk.virtual_size}});
  }
  return json;
}

Json agent_status(const config::Settings& settings, Environment& environment) {
  const auto deadline = [&] { return Deadline::in(settings.agent_timeout); };
  const wire::Endpoint endpoint = run::agent_endpoint(settings);
  if (endpoint.empty()) return {{"problem", "not configured"}};
  auto agent = qga::Agent::connect(endpoint, deadline());
  if (!agent) return {{"problem", agent.error().text()}};
  const auto state = qga::freeze_state(*agent, deadline(), environment.stop);
  if (!state) return {{"problem", state.error().text()}};
  return {{"state", *state == qga::FreezeState::kFrozen ? "frozen" : "thawed"}};
}

void print_status(const Json& json) {
  const Json& qemu = json.at("qemu");
  const Json& agent = json.at("agent");
  const auto text = [](const Json& object, const char* key) {
    return base::printable(base::string_member(object, key).value_or(""));
  };
  std::cout << text(json, "vm") << ":\n  QEMU:    "
            << (qemu.contains("problem") ? text(qemu, "problem")
                                         : text(qemu, "version") + ", " + text(qemu, "state"))
            << "\n";
  if (qemu.contains("disks")) {
    for (const Json& disk : qemu.at("disks")) {
      std::cout << "    disk " << text(disk, "name") << ": " << text(disk, "format") << " "
                << text(disk, "path") << "\n";
    }
  }
  std::cout << "  agent:   "
            << (agent.contains("problem") ? text(agent, "problem") : text(agent, "state")) << "\n"
            << "  journal: " << text(json, "journal") << std::endl;
}

}  // namespace

Result<int> status(const Invocation& invocation, Environment& environment) {
  int worst = 0;
  Json all = Json::array();
  for (const std::string& vm : invocation.arguments) {
    const auto settings = settings_for(invocation, vm, Needs::kNothing);
    if (!settings) return settings.error();
    if (!settings->container.empty()) {
      Json json = container_status(*settings, environment);
      if (json.contains("problem")) worst = 1;
      if (!invocation.json) print_container_status(json);
      all.push_back(std::move(json));
      continue;
    }
    const auto journal = snapshot::JournalFile(run::journal_path(*settings)).load();
    Json json{{"vm", vm},
              {"qemu", monitor_status(*settings, environment)},
              {"agent", agent_status(*settings, environment)},
              {"journal", !journal   ? journal.error().text()
                          : *journal ? "a run is under way or was interrupted: holdfast recover"
                                     : "clean"}};
    if (json["qemu"].contains("problem") || json["agent"].contains("problem")) worst = 1;
    if (!invocation.json) print_status(json);
    all.push_back(std::move(json));
  }
  if (invocation.json) std::cout << base::to_document(all);
  return worst;
}

Result<int> freeze(const Invocation& invocation, Environment& environment) {
  const std::string& vm = invocation.arguments.front();
  const auto settings = settings_for(invocation, vm, Needs::kAgent);
  if (!settings) return settings.error();
  if (!settings->container.empty()) {
    return Error(ErrorCode::kUnsupported, "a container is not frozen by hand")
        .with_hint("its manager does that: systemctl freeze, or lxc-freeze");
  }
  const auto lock = run::lock_machine(*settings);
  if (!lock) return lock.error();
  const wire::Endpoint endpoint = run::agent_endpoint(*settings);
  auto connected = qga::Agent::connect(endpoint, Deadline::in(settings->agent_timeout));
  if (!connected) return std::move(connected).error();
  std::optional<qga::Agent> agent(std::move(*connected));
  const auto state =
      qga::freeze_state(*agent, Deadline::in(settings->agent_timeout), environment.stop);
  if (!state) return state.error();
  if (*state == qga::FreezeState::kFrozen) {
    return Error(ErrorCode::kBusy, "the guest is frozen already")
        .with_hint("to thaw it: holdfast thaw " + vm);
  }
  auto count = qga::freeze(*agent, Deadline::in(settings->freeze_timeout), environment.stop);
  if (!count || *count == 0) {
    Error error = count ? Error(ErrorCode::kGuest, "the guest froze no filesystem")
                        : std::move(count).error();
    auto thawed = qga::thaw_for_sure(agent, endpoint, Deadline::in(settings->thaw_timeout));
    if (!thawed) return std::move(error).also(std::move(thawed).error());
    return error;
  }
  if (invocation.json) {
    std::cout << base::to_document({{"vm", vm}, {"frozen", *count}});
  } else {
    std::cout << vm << ": " << *count << " filesystems frozen; to thaw them: holdfast thaw " << vm
              << std::endl;
  }
  return 0;
}

Result<int> thaw(const Invocation& invocation, Environment& environment) {
  const std::string& vm = invocation.arguments.front();
  const auto settings = settings_for(invocation, vm, Needs::kAgent);
  if (!settings) return settings.error();
  if (!settings->container.empty()) {
    if (auto thawed = thaw_container(*settings, environment); !thawed) {
      return std::move(thawed).error();
    }
    if (invocation.json) {
      std::cout << base::to_document({{"vm", vm}, {"thawed", 1}, {"complaint", nullptr}});
    } else {
      std::cout << vm << ": thawed" << std::endl;
    }
    return 0;
  }
  std::optional<qga::Agent> agent;
  const Deadline deadline = Deadline::in(settings->thaw_timeout);
  std::optional<Error> complaint;
  std::int64_t count = 0;
  const wire::Endpoint endpoint = run::agent_endpoint(*settings);
  if (auto connected = qga::Agent::connect(endpoint, deadline); connected) {
    agent = std::move(*connected);
    auto thawed = qga::thaw(*agent, deadline);
    if (thawed) {
      count = *thawed;
    } else {
      complaint = std::move(thawed).error();
    }
  }
  const bool clean = agent && !complaint;
  if (!clean) {
    auto thawed = qga::thaw_for_sure(agent, endpoint, deadline);
    if (!thawed) return std::move(thawed).error();
  }
  if (invocation.json) {
    std::cout << base::to_document({{"vm", vm},
                                    {"thawed", count},
                                    {"complaint", complaint ? Json(complaint->text()) : Json()}});
  } else {
    std::cout << vm << ": thawed" << (clean ? ", " + std::to_string(count) + " filesystems" : "")
              << std::endl;
  }
  if (complaint)
    return Error(complaint->code(), "the guest is thawed, with a complaint").caused_by(*complaint);
  return 0;
}

}  // namespace holdfast::host::command
