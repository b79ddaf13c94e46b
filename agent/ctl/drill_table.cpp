// SPDX-License-Identifier: MIT
#include "ctl/drill_table.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <optional>

#include "ctl/json_text.h"
#include "ctl/tables.h"

namespace holdfast::ctl {

namespace {

using base::Json;

std::string milliseconds(const Json& value) {
  if (!value.is_number()) return "-";
  std::array<char, 48> text{};
  (void)std::snprintf(text.data(), text.size(), "%.1f ms", value.get<double>());
  return text.data();
}

const Json& phase_named(const Json& record, const std::string& name) {
  static const Json kNothing;
  const Json& phases = member(record, "phases");
  if (!phases.is_array()) return kNothing;
  for (const Json& phase : phases) {
    if (text_of(phase, "name") == name) return phase;
  }
  return kNothing;
}

// From the first call that may make a writer wait to the last release.
std::string stall_of(const Json& record) {
  const auto begin = base::integer_member(phase_named(record, "hold"), "begin_ns");
  std::optional<std::int64_t> end;
  const Json& resources = member(record, "resources");
  if (!begin || !resources.is_array()) return "-";
  for (const Json& resource : resources) {
    const auto released = base::integer_member(resource, "released_at_ns");
    if (released) end = std::max(end.value_or(*released), *released);
  }
  if (!end) return "-";
  return milliseconds(static_cast<double>(*end - *begin) / 1e6);
}

}  // namespace

std::string drill_text(const Json& record) {
  const Json& verdict = member(record, "verdict");
  if (!verdict.is_object()) return {};
  std::string text = "drill " + text_of(record, "window") + ": " + text_of(verdict, "code");
  if (text_of(verdict, "text") != "-") text += ": " + text_of(verdict, "text");
  text += "\nflush of the filesystems " +
          milliseconds(member(phase_named(record, "sync"), "duration_ms")) + ", record " +
          milliseconds(member(phase_named(record, "record"), "duration_ms")) +
          "\nwriters stood still for at most " + stall_of(record) +
          "; a freeze adds the filesystems' own\n";
  std::vector<std::vector<std::string>> rows{
      {"RESOURCE", "PREPARE", "HOLD", "CHECK", "RELEASE", "VERDICT", "POSITION"}};
  const Json& resources = member(record, "resources");
  if (!resources.is_array() || resources.empty()) return text + "no resources are configured\n";
  for (const Json& resource : resources) {
    const Json& took = member(resource, "durations_ms");
    rows.push_back({text_of(resource, "name"), milliseconds(member(took, "prepare")),
                    milliseconds(member(took, "hold")), milliseconds(member(took, "check")),
                    milliseconds(member(took, "release")),
                    text_of(member(resource, "verdict"), "code"), position_of(resource)});
  }
  return text + table(rows);
}

}  // namespace holdfast::ctl
