// SPDX-License-Identifier: MIT
#include "command/metrics.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <map>

#include "base/file.h"
#include "repository/level.h"

namespace holdfast::host::command {

using base::Json;
using base::Result;

namespace {

constexpr std::size_t kFileLimit = std::size_t{64} << 10U;
constexpr std::string_view kPrefix = "holdfast_backup_";

struct Metric {
  std::string_view name;
  bool of_success;  // stays as it is when a run fails
  std::string_view help;
};

constexpr std::array<Metric, 10> kMetrics{{
    {"last_run_timestamp_seconds", false, "When the last run ended."},
    {"last_run_duration_seconds", false, "How long the last run took."},
    {"last_run_success", false, "Did the last run publish a backup."},
    {"last_run_exit_status", false, "The exit status of the last run: 0 done, 3 below preferred."},
    {"last_success_timestamp_seconds", true, "When the last run that published a backup ended."},
    {"last_success_level", true, "Its level: 0 crash, 1 filesystem, 2 application."},
    {"last_success_window_seconds", true, "From its freeze call to the return of its thaw."},
    {"last_success_copy_seconds", true, "How long its copy took."},
    {"last_success_bytes", true, "The bytes of its images."},
    {"last_success_disks", true, "The number of its disks."},
}};

using Values = std::map<std::string_view, std::string>;

std::string decimal(double value) {
  char text[64];
  std::snprintf(text, sizeof text, "%.3f", value);
  return text;
}

std::string seconds_of(std::chrono::system_clock::duration span) {
  return decimal(std::chrono::duration<double>(span).count());
}

std::string line_start(const Metric& metric, const std::string& vm) {
  return std::string(kPrefix) + std::string(metric.name) + "{vm=\"" + vm + "\"} ";
}

bool is_number(std::string_view text) {
  double value = 0;
  const auto parsed =
      std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  return parsed.ec == std::errc() && parsed.ptr == text.data() + text.size();
}

// The success that an earlier run has left in its file.
Values earlier_success(std::string_view previous, const std::string& vm) {
  Values values;
  while (!previous.empty()) {
    const std::size_t end = std::min(previous.find('\n'), previous.size());
    const std::string_view line = previous.substr(0, end);
    for (const Metric& metric : kMetrics) {
      const std::string start = line_start(metric, vm);
      if (!metric.of_success || !line.starts_with(start)) continue;
      const std::string_view value = line.substr(start.size());
      if (is_number(value)) values[metric.name] = value;
    }
    previous.remove_prefix(std::min(end + 1, previous.size()));
  }
  return values;
}

void add_success(Values& values, const Json& manifest, const std::string& end) {
  const auto level = repository::level_named(manifest.at("level").get<std::string>());
  values["last_success_timestamp_seconds"] = end;
  values["last_success_level"] =
      std::to_string(static_cast<int>(level.value_or(repository::Level::kCrash)));
  values["last_success_window_seconds"] =
      decimal(manifest.at("window").at("total_ms").get<double>() / 1000);
  values["last_success_copy_seconds"] =
      decimal(manifest.at("copy").at("duration_ms").get<double>() / 1000);
  values["last_success_bytes"] =
      std::to_string(manifest.at("copy").at("bytes").get<std::uint64_t>());
  values["last_success_disks"] = std::to_string(manifest.at("disks").size());
}

}  // namespace

std::string metrics_text(const RunReport& report, RunTime time, std::string_view previous) {
  const bool success = !report.manifest.is_null();
  const std::string end = seconds_of(time.end.time_since_epoch());
  Values values = earlier_success(previous, report.vm);
  values["last_run_timestamp_seconds"] = end;
  values["last_run_duration_seconds"] = seconds_of(time.end - time.begin);
  values["last_run_success"] = success ? "1" : "0";
  values["last_run_exit_status"] = std::to_string(report.status);
  if (success) add_success(values, report.manifest, end);
  std::string text;
  for (const Metric& metric : kMetrics) {
    const auto value = values.find(metric.name);
    if (value == values.end()) continue;
    const std::string name = std::string(kPrefix) + std::string(metric.name);
    text += "# HELP " + name + " " + std::string(metric.help) + "\n# TYPE " + name + " gauge\n" +
            line_start(metric, report.vm) + value->second + "\n";
  }
  return text;
}

Result<void> write_metrics(const std::string& directory, const RunReport& report, RunTime time) {
  const std::string path = directory + "/holdfast_" + report.vm + ".prom";
  // None, or none that can be read: nothing is known of an earlier success.
  const auto previous = base::read_file(path, kFileLimit);
  // The node exporter runs as a user of its own.
  return base::write_file(path, metrics_text(report, time, previous ? *previous : ""), 0644,
                          base::Durable::kNo);
}

}  // namespace holdfast::host::command
