// SPDX-License-Identifier: MIT
#include "doctor/doctor.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "base/text.h"
#include "doctor/check.h"

namespace holdfast::doctor {

namespace {

using base::Json;
using namespace std::chrono_literals;

constexpr const char* kGuestAgent = "/usr/sbin/qemu-ga";

std::string version_of(const World& world, base::ProcessRunner& processes) {
  if (!world.exists(kGuestAgent)) return {};
  const auto outcome =
      processes.run({.argv = {kGuestAgent, "--version"}, .deadline = base::Deadline::in(5s)});
  if (!outcome.succeeded()) return {};
  const std::string_view line = base::trimmed(outcome.output);
  return base::printable(line.substr(line.rfind(' ') + 1), 40);
}

}  // namespace

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

std::vector<std::unique_ptr<Check>> all_checks() {
  std::vector<std::unique_ptr<Check>> checks;
  checks.push_back(make_guest_agent_check());
  checks.push_back(make_commands_check());
  checks.push_back(make_hook_check());
  checks.push_back(make_early_release_check());
  checks.push_back(make_service_check());
  checks.push_back(make_databases_check());
  checks.push_back(make_filesystems_check());
  checks.push_back(make_timeouts_check());
  checks.push_back(make_security_check());
  checks.push_back(make_hosting_check());
  return checks;
}

std::size_t Diagnosis::count(Level level) const {
  std::size_t count = 0;
  for (const Family& family : families) {
    count += static_cast<std::size_t>(
        std::count_if(family.findings.begin(), family.findings.end(),
                      [&](const Finding& finding) { return finding.level == level; }));
  }
  return count;
}

int Diagnosis::exit_status() const {
  return count(Level::kProblem) == 0 ? 0 : 1;
}

Diagnosis examine(const World& world, base::ProcessRunner& processes,
                  const base::Result<Json>& status, bool as_root) {
  Patient patient{world, guest_agent_of(world), {}, version_of(world, processes), {}, {}, as_root};
  patient.mounts = MountTable::of(world, patient.agent.process ? patient.agent.process->pid : 0);
  if (status) {
    patient.status = *status;
  } else {
    patient.status_problem = status.error().text();
  }
  Diagnosis diagnosis;
  for (const auto& check : all_checks()) {
    Diagnosis::Family family{std::string(check->family()), check->run(patient)};
    diagnosis.families.push_back(std::move(family));
  }
  return diagnosis;
}

std::string diagnosis_text(const Diagnosis& diagnosis) {
  std::string text;
  for (const Diagnosis::Family& family : diagnosis.families) {
    for (const Finding& finding : family.findings) {
      std::string level(name_of(finding.level));
      level.resize(9, ' ');
      text += level + family.name + ": " + base::printable(finding.text) + "\n";
      if (!finding.advice.empty()) text += "         -> " + base::printable(finding.advice) + "\n";
    }
  }
  const std::size_t problems = diagnosis.count(Level::kProblem);
  text += std::to_string(problems) + (problems == 1 ? " problem, " : " problems, ") +
          std::to_string(diagnosis.count(Level::kWarning)) + " warnings, " +
          std::to_string(diagnosis.count(Level::kUnknown)) + " unknown\n";
  return text;
}

Json diagnosis_json(const Diagnosis& diagnosis) {
  Json findings = Json::array();
  for (const Diagnosis::Family& family : diagnosis.families) {
    for (const Finding& finding : family.findings) {
      findings.push_back({{"family", family.name},
                          {"id", finding.id},
                          {"level", std::string(name_of(finding.level))},
                          {"text", finding.text},
                          {"advice", finding.advice}});
    }
  }
  return {{"findings", std::move(findings)},
          {"problems", diagnosis.count(Level::kProblem)},
          {"warnings", diagnosis.count(Level::kWarning)},
          {"unknown", diagnosis.count(Level::kUnknown)},
          {"status", diagnosis.exit_status()}};
}

}  // namespace holdfast::doctor
