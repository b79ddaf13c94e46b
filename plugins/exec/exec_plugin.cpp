// SPDX-License-Identifier: MIT
#include "exec/exec_plugin.h"

#include <string>
#include <utility>

#include "exec/exec_hold.h"
#include "exec/exec_settings.h"
#include "exec/local_executor.h"
#include "exec/remote_executor.h"

namespace holdfast::exec {

using base::Result;

namespace {

api::Identity identity_of_programs() {
  return {.engine = "exec", .version = {}, .server_uuid = {}, .session_id = {}};
}

}  // namespace

base::OptionTable ExecPlugin::option_table() const {
  return exec_option_table();
}

Result<void> ExecPlugin::do_finish_config() {
  auto settings = exec_settings(options(), context().resource);
  if (!settings) return std::move(settings).error();
  // "exec:NAME" is the resource of NAME.conf.
  const std::string& resource = context().resource;
  const std::string name = resource.substr(resource.find(':') + 1);
  if (settings->as_root) {
    executor_ = std::make_unique<RemoteExecutor>(settings->execd_socket, name);
  } else {
    executor_ = std::make_unique<LocalExecutor>(std::move(*settings), name, context().processes,
                                                Trust::kAny, context().run_file);
  }
  return {};
}

Result<api::ProbeReport> ExecPlugin::probe(base::Deadline deadline, std::stop_token stop) {
  auto warning =
      executor_->probe(Call{.window = {}, .deadline = deadline, .stop = std::move(stop)});
  if (!warning) return std::move(warning).error();
  api::ProbeReport report{.identity = identity_of_programs(), .warnings = {}};
  if (!warning->empty()) report.warnings.push_back(std::move(*warning));
  return report;
}

int ExecPlugin::watch_fd() const {
  return executor_->watch_fd();
}

Result<void> ExecPlugin::prepare(const api::Window& window, base::Deadline deadline,
                                 std::stop_token stop) {
  return executor_->prepare(
      Call{.window = window.id, .deadline = deadline, .stop = std::move(stop)});
}

Result<std::unique_ptr<api::Hold>> ExecPlugin::hold(const api::Window& window,
                                                    base::Deadline deadline, std::stop_token stop) {
  auto frozen =
      executor_->freeze(Call{.window = window.id, .deadline = deadline, .stop = std::move(stop)});
  if (!frozen) return std::move(frozen).error();
  return std::unique_ptr<api::Hold>(
      std::make_unique<ExecHold>(*executor_, identity_of_programs(), window.id));
}

void ExecPlugin::rollback(base::Deadline deadline) {
  executor_->rollback(deadline);
}

void ExecPlugin::interrupt() {
  executor_->interrupt();
}

}  // namespace holdfast::exec
