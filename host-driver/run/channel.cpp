// SPDX-License-Identifier: MIT
#include "run/channel.h"

#include <algorithm>
#include <chrono>

#include "base/text.h"
#include "definition/qemu_definition.h"
#include "libvirt/checkpoints.h"
#include "libvirt/domain.h"
#include "libvirt/domain_definition.h"
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
  return libvirt::read_domain_definition(monitor, settings.uri, settings.tpm_state,
                                         Deadline::in(settings.qmp_timeout));
}

}  // namespace holdfast::host::run
