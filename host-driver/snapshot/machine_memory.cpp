// SPDX-License-Identifier: MIT
#include "snapshot/machine_memory.h"

namespace holdfast::host::snapshot {

using base::Deadline;
using base::Json;
using base::Result;

Result<std::uint64_t> memory_of(qmp::Client& monitor, Deadline deadline) {
  const auto sizes = monitor.execute("query-memory-size-summary", Json::object(), deadline);
  if (!sizes) return sizes.error();
  const auto base = base::integer_member(*sizes, "base-memory");
  if (!base) return base.error();
  const std::int64_t plugged = base::integer_member(*sizes, "plugged-memory").value_or(0);
  return static_cast<std::uint64_t>(*base + plugged);
}

// Each page has a header there, and the devices have their share.
std::uint64_t room_for_memory(std::uint64_t bytes) {
  constexpr std::uint64_t kDevices = std::uint64_t{32} << 20U;
  return bytes + bytes / 256 + kDevices;
}

}  // namespace holdfast::host::snapshot
