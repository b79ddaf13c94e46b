// SPDX-License-Identifier: MIT
#include "command/proof_metrics.h"

#include <algorithm>
#include <charconv>
#include <cstdio>

#include "base/file.h"

namespace holdfast::host::command {

using base::Result;
using repository::Proof;
using repository::ProofResult;

namespace {

constexpr std::size_t kFileLimit = std::size_t{64} << 10U;
constexpr std::string_view kLastSuccess = "last_success_timestamp_seconds";

std::string decimal(std::chrono::system_clock::duration span) {
  char text[64];
  std::snprintf(text, sizeof text, "%.3f", std::chrono::duration<double>(span).count());
  return text;
}

std::string line_start(std::string_view name, const std::string& vm) {
  return "holdfast_proof_" + std::string(name) + "{vm=\"" + vm + "\"} ";
}

std::string gauge(std::string_view name, const std::string& vm, const std::string& value,
                  std::string_view help) {
  const std::string full = "holdfast_proof_" + std::string(name);
  return "# HELP " + full + " " + std::string(help) + "\n# TYPE " + full + " gauge\n" +
         line_start(name, vm) + value + "\n";
}

// Empty if there is none.
std::string earlier_success(std::string_view previous, const std::string& vm) {
  const std::string start = line_start(kLastSuccess, vm);
  while (!previous.empty()) {
    const std::size_t end = std::min(previous.find('\n'), previous.size());
    const std::string_view line = previous.substr(0, end);
    previous.remove_prefix(std::min(end + 1, previous.size()));
    if (!line.starts_with(start)) continue;
    const std::string_view text = line.substr(start.size());
    double value = 0;
    const auto parsed =
        std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
    if (parsed.ec == std::errc() && parsed.ptr == text.data() + text.size()) {
      return std::string(text);
    }
  }
  return {};
}

}  // namespace

std::string proof_metrics_text(const std::string& vm, const Proof& proof, RunTime time,
                               std::string_view previous) {
  const bool success = proof.result == ProofResult::kProven || proof.result == ProofResult::kBooted;
  const std::string end = decimal(time.end.time_since_epoch());
  std::string text =
      gauge("last_run_timestamp_seconds", vm, end, "When the last trial of a backup ended.") +
      gauge("last_run_duration_seconds", vm, decimal(time.end - time.begin),
            "How long the last trial took.") +
      gauge("last_run_success", vm, success ? "1" : "0", "Did what it tried come up.") +
      gauge("last_run_result", vm, std::to_string(static_cast<int>(proof.result) - 1),
            "Its result: -1 undecided, 0 failed, 1 booted, 2 proven.");
  const std::string last = success ? end : earlier_success(previous, vm);
  if (last.empty()) return text;
  return text + gauge(kLastSuccess, vm, last, "When the last trial ended that came up.");
}

Result<void> write_proof_metrics(const std::string& directory, const std::string& vm,
                                 const Proof& proof, RunTime time) {
  const std::string path = directory + "/holdfast-proof_" + vm + ".prom";
  const auto previous = base::read_file(path, kFileLimit);
  // The node exporter runs as a user of its own.
  return base::write_file(path,
                          proof_metrics_text(vm, proof, time, previous ? *previous : std::string()),
                          0644, base::Durable::kNo);
}

}  // namespace holdfast::host::command
