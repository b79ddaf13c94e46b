// SPDX-License-Identifier: MIT
#include "ctl/tables.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "base/text.h"
#include "ctl/json_text.h"

namespace holdfast::ctl {

namespace {

using base::Json;

// "12.3 ms" between two instants of a record, "-" if one is missing.
std::string span_of(const Json& record, const char* begin, const char* end) {
  const auto from = base::integer_member(member(record, begin), "monotonic_ns");
  const auto to = base::integer_member(member(record, end), "monotonic_ns");
  if (!from || !to) return "-";
  std::array<char, 48> text{};
  // Whatever stands there: a difference of integers could overflow.
  const double span = static_cast<double>(*to) - static_cast<double>(*from);
  (void)std::snprintf(text.data(), text.size(), "%.1f ms", span / 1e6);
  return text.data();
}

std::string engine_of(const Json& resource) {
  const std::string engine = text_of(resource, "engine");
  const std::string version = text_of(resource, "version");
  return version == "-" ? engine : engine + " " + version;
}

std::string phases_of(const Json& record) {
  std::string text;
  const Json& phases = member(record, "phases");
  if (!phases.is_array()) return "-";
  for (const Json& phase : phases) {
    const Json& duration = member(phase, "duration_ms");
    if (!duration.is_number()) continue;
    std::array<char, 48> shown{};
    (void)std::snprintf(shown.data(), shown.size(), " %.1f ms", duration.get<double>());
    text += (text.empty() ? "" : ", ") + text_of(phase, "name") + shown.data();
  }
  return text.empty() ? "-" : text;
}

}  // namespace

std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      std::string cell = row[i];
      cell.resize(widths[i], ' ');
      line += cell + "  ";
    }
    while (line.ends_with(' '))
      line.pop_back();
    text += line + "\n";
  }
  return text;
}

std::string status_text(const Json& status) {
  std::string text = "holdfastd " + text_of(status, "holdfast") + ": " + text_of(status, "state");
  if (text_of(status, "window") != "-") text += ", window " + text_of(status, "window");
  if (text_of(status, "since") != "-") text += ", since " + text_of(status, "since");
  text += "\n";
  const Json& last = member(status, "last");
  if (last.is_object()) {
    const Json& verdict = member(last, "verdict");
    text +=
        "last window: " + text_of(member(last, "begin"), "wall") + ", " + text_of(verdict, "code");
    if (text_of(verdict, "text") != "-") text += ": " + text_of(verdict, "text");
    text += "\n";
  }
  const Json& resources = member(status, "resources");
  if (!resources.is_array() || resources.empty()) return text + "no resources are configured\n";
  std::vector<std::vector<std::string>> rows{{"RESOURCE", "STATE", "REQUIRED", "ENGINE"}};
  std::string notes;
  for (const Json& resource : resources) {
    const bool required = base::bool_member(resource, "required").value_or(true);
    rows.push_back({text_of(resource, "name"), text_of(resource, "state"), required ? "yes" : "no",
                    engine_of(resource)});
    if (text_of(resource, "text") != "-") {
      notes += text_of(resource, "name") + ": " + text_of(resource, "text") + "\n";
    }
    const Json& warnings = member(resource, "warnings");
    if (!warnings.is_array()) continue;
    for (const Json& warning : warnings) {
      if (!warning.is_string()) continue;
      notes += text_of(resource, "name") +
               ": warning: " + base::printable(warning.get<std::string>()) + "\n";
    }
  }
  return text + table(rows) + notes;
}

std::string report_text(const Json& report) {
  const Json& records = member(report, "records");
  if (!records.is_array() || records.empty()) return "no freeze has been recorded\n";
  std::string text;
  for (const Json& record : records) {
    const Json& verdict = member(record, "verdict");
    if (!text.empty()) text += "\n";
    text += text_of(member(record, "begin"), "wall") + "  window " + text_of(record, "window") +
            "  " + (verdict.is_object() ? text_of(verdict, "code") : "open") + "\n";
    if (text_of(verdict, "text") != "-") text += "  " + text_of(verdict, "text") + "\n";
    text += "  until held " + span_of(record, "begin", "held") + ", held for " +
            span_of(record, "held", "end") + "\n  phases: " + phases_of(record) + "\n";
    const Json& resources = member(record, "resources");
    if (!resources.is_array()) continue;
    std::vector<std::vector<std::string>> rows;
    for (const Json& resource : resources) {
      rows.push_back({"  " + text_of(resource, "name"),
                      text_of(member(resource, "verdict"), "code"), engine_of(resource),
                      position_of(resource)});
    }
    text += table(rows);
  }
  return text;
}

}  // namespace holdfast::ctl
