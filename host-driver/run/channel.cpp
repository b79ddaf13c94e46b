// SPDX-License-Identifier: MIT
#include "run/channel.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "base/text.h"
#include "definition/qemu_definition.h"
#include "definition/tpm_state.h"
#include "libvirt/checkpoints.h"
#include "libvirt/domain.h"
#include "libvirt/methods.h"
#include "snapshot/bitmaps.h"
#include "snapshot/methods/factory.h"
#include "snapshot/methods/recovery.h"

namespace holdfast::host::run {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Result;

namespace {

const std::string& domain_of(const config::Settings& settings) {
  return settings.domain.empty() ? settings.vm : settings.domain;
}

// Libvirt counts in whole seconds. Its own limit stands behind ours: it is for the case that nobody
// waits any more.
std::string seconds_for(base::Millis time) {
  return std::to_string(std::chrono::ceil<std::chrono::seconds>(time).count());
}

wire::Endpoint bridge(const config::Settings& settings, const char* side, base::Millis time) {
  return {{settings.libvirt_program, side, settings.uri, domain_of(settings), seconds_for(time)},
          "'" + domain_of(settings) + "' of libvirt '" + base::printable(settings.uri) + "'"};
}

// `remote`: the host whose libvirt it is; empty for this one.
void find_tpm(const config::Settings& settings, const std::string& remote, const std::string& uuid,
              definition::Definition& definition) {
  const auto find = [&]() -> Result<definition::TpmPlace> {
    if (!settings.tpm_state.empty()) return definition::tpm_at(settings.tpm_state);
    if (!remote.empty()) {
      return Error(ErrorCode::kUnsupported, "it is on '" + base::printable(remote) + "'");
    }
    const bool session = settings.uri.find("/session") != std::string::npos;
    return definition::find_libvirt_tpm(session, uuid);
  };
  auto place = find();
  if (place) {
    definition.tpm = std::move(*place);
  } else {
    definition.lacking.push_back("without the state of the TPM: " + place.error().one_line());
  }
}

}  // namespace

bool is_by_libvirt(const config::Settings& settings) {
  return !settings.uri.empty();
}

wire::Endpoint monitor_endpoint(const config::Settings& settings) {
  if (!is_by_libvirt(settings)) return settings.qmp;
  return bridge(settings, "control", settings.qmp_timeout);
}

wire::Endpoint agent_endpoint(const config::Settings& settings) {
  if (!is_by_libvirt(settings)) return settings.agent;
  return bridge(settings, "agent",
                std::max({settings.freeze_timeout, settings.thaw_timeout, settings.agent_timeout,
                          settings.trim == "no" ? base::Millis(0) : settings.trim_timeout}));
}

Result<qmp::BlockGraph> read_graph(const config::Settings& settings, qmp::Client& monitor) {
  const Deadline deadline = Deadline::in(settings.qmp_timeout);
  if (!is_by_libvirt(settings)) return qmp::read_block_graph(monitor, deadline);
  const auto disks = libvirt::read_disks(monitor, deadline);
  if (!disks) return disks.error();
  return libvirt::block_graph_of(*disks);
}

Result<std::unique_ptr<snapshot::Strategy>> make_strategy(const config::Settings& settings,
                                                          const std::string& method,
                                                          snapshot::StrategyContext context) {
  if (!is_by_libvirt(settings)) return snapshot::make_strategy(method, std::move(context));
  return libvirt::make_strategy(method, std::move(context), libvirt::remote_host(settings.uri));
}

Result<std::vector<std::string>> recover_leftovers(const config::Settings& settings,
                                                   const snapshot::StrategyContext& context,
                                                   Deadline deadline, const std::stop_token& stop) {
  if (!is_by_libvirt(settings)) return snapshot::recover_leftovers(context, deadline, stop);
  return libvirt::recover_leftovers(context, libvirt::remote_host(settings.uri), deadline, stop);
}

Result<void> keep_bitmaps(const config::Settings& settings, qmp::Client& monitor,
                          const std::string& tag, const std::string& latest) {
  const Deadline deadline = Deadline::in(settings.qmp_timeout);
  if (is_by_libvirt(settings)) return libvirt::keep_checkpoints(monitor, tag, latest, deadline);
  return snapshot::keep_bitmaps(monitor, tag, latest, deadline);
}

Result<void> check_running(const config::Settings& settings, qmp::Client& monitor) {
  if (!is_by_libvirt(settings)) return {};
  const auto status =
      monitor.execute("query-status", base::Json::object(), Deadline::in(settings.qmp_timeout));
  if (!status) return status.error();
  const std::string state = base::string_member(*status, "status").value_or("");
  if (state == "running" || state == "paused" || state == "blocked") return {};
  return Error(ErrorCode::kRefused, "the machine does not run: it is " + base::printable(state, 40))
      .with_hint("an interrupted run of before is finished once it runs again");
}

Result<definition::Definition> read_definition(const config::Settings& settings,
                                               qmp::Client& monitor) {
  if (!is_by_libvirt(settings)) {
    return definition::read_qemu_definition(monitor, settings.qmp, settings.tpm_state,
                                            Deadline::in(settings.qmp_timeout));
  }
  auto domain = libvirt::read_domain(monitor, Deadline::in(settings.qmp_timeout));
  if (!domain) return std::move(domain).error();
  definition::Definition definition;
  definition.about = {{"channel", "libvirt"},        {"uri", settings.uri},
                      {"domain", domain->name},      {"uuid", domain->uuid},
                      {"libvirt", domain->libvirt},  {"tpm", domain->has_tpm},
                      {"files", base::Json::array()}};
  definition.files.push_back(
      {"domain.xml", "definition for the next start", std::move(domain->inactive_xml), {}});
  definition.files.push_back(
      {"domain-running.xml", "definition of the running machine", std::move(domain->live_xml), {}});
  const std::string remote = libvirt::remote_host(settings.uri);
  if (!domain->nvram.empty() && (remote.empty() || ::access(domain->nvram.c_str(), R_OK) == 0)) {
    definition.files.push_back({"nvram.fd", "UEFI variables", {}, domain->nvram});
  } else if (!domain->nvram.empty()) {
    definition.lacking.push_back("the UEFI variables are not in the backup: they are on '" +
                                 base::printable(remote) + "'");
  }
  if (domain->has_tpm || !settings.tpm_state.empty()) {
    find_tpm(settings, remote, domain->uuid, definition);
  }
  return definition;
}

}  // namespace holdfast::host::run
