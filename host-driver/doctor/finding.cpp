// SPDX-License-Identifier: MIT
#include "doctor/finding.h"

#include <algorithm>

#include "base/text.h"

namespace holdfast::host::doctor {

using base::Json;

std::string_view name_of(Level level) {
  switch (level) {
    case Level::kOk:
      return "ok";
    case Level::kUnknown:
      return "unknown";
    case Level::kWarning:
      return "warning";
    case Level::kProblem:
      return "problem";
  }
  return "unknown";
}

Finding problem(std::string area, std::string id, const base::Error& error,
                const std::string& else_hint) {
  return {Level::kProblem, std::move(area), std::move(id), error.text(),
          error.hint().empty() ? else_hint : error.hint()};
}

std::size_t Diagnosis::count(Level level) const {
  return static_cast<std::size_t>(
      std::count_if(findings.begin(), findings.end(),
                    [&](const Finding& finding) { return finding.level == level; }));
}

std::string text_of(const Diagnosis& diagnosis, bool quiet) {
  std::string text;
  for (const Finding& finding : diagnosis.findings) {
    if (quiet && finding.level == Level::kOk) continue;
    std::string level(name_of(finding.level));
    level.resize(8, ' ');
    text += diagnosis.vm + ": " + level + finding.area + ": " + base::printable(finding.text, 2000);
    if (!finding.hint.empty()) text += " (" + base::printable(finding.hint, 1000) + ")";
    text += "\n";
  }
  if (quiet) return text;
  const auto counted = [&](Level level, const std::string& one) {
    const std::size_t count = diagnosis.count(level);
    return std::to_string(count) + " " + one + (count == 1 || level == Level::kUnknown ? "" : "s");
  };
  return text + diagnosis.vm + ": " + counted(Level::kProblem, "problem") + ", " +
         counted(Level::kWarning, "warning") + ", " + counted(Level::kUnknown, "unknown") + "\n";
}

Json json_of(const Diagnosis& diagnosis) {
  Json findings = Json::array();
  for (const Finding& finding : diagnosis.findings) {
    findings.push_back({{"level", std::string(name_of(finding.level))},
                        {"area", finding.area},
                        {"id", finding.id},
                        {"text", base::printable(finding.text, 2000)},
                        {"hint", base::printable(finding.hint, 1000)}});
  }
  return {{"vm", diagnosis.vm},
          {"findings", std::move(findings)},
          {"problems", diagnosis.count(Level::kProblem)},
          {"warnings", diagnosis.count(Level::kWarning)},
          {"unknown", diagnosis.count(Level::kUnknown)},
          {"status", diagnosis.exit_status()}};
}

}  // namespace holdfast::host::doctor
