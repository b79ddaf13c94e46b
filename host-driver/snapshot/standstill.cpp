// SPDX-License-Identifier: MIT
#include "snapshot/standstill.h"

#include <string>

#include "base/json_codec.h"

namespace holdfast::host::snapshot {

using base::Deadline;
using base::Json;
using base::Result;

namespace {

Result<std::string> status_of(qmp::Client& monitor, Deadline deadline) {
  const auto status = monitor.execute("query-status", Json::object(), deadline);
  if (!status) return status.error();
  return base::string_member(*status, "status");
}

}  // namespace

Result<bool> is_running(qmp::Client& monitor, Deadline deadline) {
  const auto status = status_of(monitor, deadline);
  if (!status) return status.error();
  return *status == "running";
}

Result<void> stand_still(qmp::Client& monitor, Deadline deadline) {
  auto stopped = monitor.execute("stop", Json::object(), deadline);
  if (!stopped) return std::move(stopped).error();
  return {};
}

Result<bool> go_on(qmp::Client& monitor, Deadline deadline) {
  const auto status = status_of(monitor, deadline);
  if (!status) return status.error();
  if (*status != "paused") return false;
  auto gone_on = monitor.execute("cont", Json::object(), deadline);
  if (!gone_on) return std::move(gone_on).error();
  return true;
}

}  // namespace holdfast::host::snapshot
