// SPDX-License-Identifier: MIT
#include "qga/fstrim.h"

#include "base/text.h"

namespace holdfast::host::qga {

using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;

namespace {

constexpr std::size_t kPathLength = 200;
constexpr std::size_t kErrorLength = 200;
// 128 PiB, more than any disk of QEMU has; so no sum of those that are named overflows.
constexpr std::int64_t kMostBytes = std::int64_t{1} << 57U;

TrimmedPath parse_path(const Json& entry, const std::string& path) {
  TrimmedPath trimmed{base::printable(path, kPathLength), {}, {}};
  if (entry.contains("error")) {
    trimmed.error =
        base::printable(base::string_member(entry, "error").value_or("unknown"), kErrorLength);
    if (trimmed.error.empty()) trimmed.error = "unknown";
    return trimmed;
  }
  const auto bytes = base::integer_member(entry, "trimmed");
  if (bytes && *bytes >= 0 && *bytes <= kMostBytes) {
    trimmed.bytes = static_cast<std::uint64_t>(*bytes);
  } else {
    trimmed.error = "the guest does not say how much";
  }
  return trimmed;
}

}  // namespace

Result<TrimReport> parse_trim(const Json& answer) {
  const Error strange(ErrorCode::kProtocol, "the guest's answer to guest-fstrim makes no sense");
  const auto paths = base::array_member(answer, "paths");
  if (!paths) return strange;
  TrimReport report;
  for (const Json& entry : **paths) {
    const auto path = base::string_member(entry, "path");
    if (!path) return strange;
    if (report.paths.size() == kMostTrimmedPaths) {
      ++report.left_out;
      continue;
    }
    report.paths.push_back(parse_path(entry, *path));
    report.bytes += report.paths.back().bytes.value_or(0);
  }
  return report;
}

Result<TrimReport> trim(Agent& agent, base::Deadline deadline, const std::stop_token& stop) {
  const auto answer = agent.execute("guest-fstrim", Json::object(), deadline, stop);
  if (!answer) return answer.error();
  return parse_trim(*answer);
}

}  // namespace holdfast::host::qga
