// SPDX-License-Identifier: MIT
//
// How a machine is reached: over QEMU's own sockets, or through libvirt, which owns them there. The
// one place that knows of both; everywhere else a machine has a monitor, an agent, disks, and a
// strategy for them.
//
// Threads: plain functions.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "config/settings.h"
#include "definition/definition.h"
#include "qmp/block_graph.h"
#include "qmp/client.h"
#include "snapshot/strategy.h"
#include "wire/endpoint.h"

namespace holdfast::host::run {

[[nodiscard]] bool is_by_libvirt(const config::Settings& settings);

// Either may be empty: not configured.
[[nodiscard]] wire::Endpoint monitor_endpoint(const config::Settings& settings);
[[nodiscard]] wire::Endpoint agent_endpoint(const config::Settings& settings);

[[nodiscard]] base::Result<qmp::BlockGraph> read_graph(const config::Settings& settings,
                                                       qmp::Client& monitor);

// `method` as in the settings, or in a journal.
[[nodiscard]] base::Result<std::unique_ptr<snapshot::Strategy>> make_strategy(
    const config::Settings& settings, const std::string& method, snapshot::StrategyContext context);

// As snapshot::recover_leftovers(), of whatever method.
[[nodiscard]] base::Result<std::vector<std::string>> recover_leftovers(
    const config::Settings& settings, const snapshot::StrategyContext& context,
    base::Deadline deadline, const std::stop_token& stop);

// As snapshot::keep_bitmaps(). Through libvirt none are made.
[[nodiscard]] base::Result<void> keep_bitmaps(const config::Settings& settings,
                                              qmp::Client& monitor, const std::string& tag,
                                              const std::string& latest);

// kRefused for a machine that libvirt knows and that does not run. QEMU's sockets are gone then.
[[nodiscard]] base::Result<void> check_running(const config::Settings& settings,
                                               qmp::Client& monitor);

// What the machine is, beside its disks. Asked before the instant, while nothing of ours is in it.
[[nodiscard]] base::Result<definition::Definition> read_definition(const config::Settings& settings,
                                                                   qmp::Client& monitor);

}  // namespace holdfast::host::run
