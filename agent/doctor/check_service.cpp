// SPDX-License-Identifier: MIT
//
// holdfastd, its resources, and the two helpers.
#include "doctor/check.h"

namespace holdfast::doctor {

namespace {

using base::Json;

constexpr std::uint64_t kCapSysAdmin = std::uint64_t{1} << 21U;

// The kernel keeps 15 characters of a program's name.
bool runs(const World& world, const std::string& name) {
  return world.process_named(name.substr(0, 15)).has_value();
}

std::string word(const Json& object, const char* key) {
  return base::string_member(object, key).value_or("");
}

class ServiceCheck final : public Check {
 public:
  [[nodiscard]] std::string_view family() const override { return "service"; }

  [[nodiscard]] Findings run(const Patient& patient) const override {
    Findings findings;
    if (!patient.status) {
      findings.push_back(unreachable(patient));
    } else {
      findings.push_back(
          {Level::kOk, "holdfastd", "holdfastd " + word(*patient.status, "holdfast") + " answers"});
      look_at_resources(*patient.status, findings);
    }
    findings.push_back(filesystems_part(patient.world));
    if (!runs(patient.world, "holdfast-execd")) {
      findings.push_back({Level::kWarning, "execd",
                          "holdfast-execd is not running: exec resources with as-root fail",
                          "systemctl enable --now holdfast-exec.service"});
    }
    return findings;
  }

 private:
  static Finding unreachable(const Patient& patient) {
    if (runs(patient.world, "holdfastd")) {
      return {patient.as_root ? Level::kProblem : Level::kUnknown, "holdfastd",
              "holdfastd runs, but: " + patient.status_problem,
              patient.as_root ? "journalctl -u holdfastd; systemctl restart holdfastd"
                              : "run this as root"};
    }
    return {Level::kProblem, "holdfastd",
            "holdfastd is not running: every freeze will be refused (exit status 20)",
            "systemctl start holdfastd; journalctl -u holdfastd says why it ended"};
  }

  static void look_at_resources(const Json& status, Findings& findings) {
    const auto resources = base::array_member(status, "resources");
    bool databases = false;
    if (resources) {
      for (const Json& resource : **resources) {
        const std::string name = word(resource, "name");
        const std::string state = word(resource, "state");
        const bool required = base::bool_member(resource, "required").value_or(true);
        if (word(resource, "plugin") != "exec") databases = true;
        if (state == "ready" || state == "held") {
          findings.push_back({Level::kOk, "resource", "'" + name + "' is " + state});
        } else if (state == "connecting") {
          findings.push_back({Level::kUnknown, "resource", "'" + name + "' is being connected",
                              "ask again in a moment"});
        } else {
          findings.push_back({required ? Level::kProblem : Level::kWarning, "resource",
                              "'" + name + "' is " + state + ": " + word(resource, "text"),
                              required ? "put it right, or set 'required = no' in its file: as it "
                                         "is, every freeze will be refused"
                                       : "put it right; freezes go ahead without it"});
        }
      }
    }
    if (!databases) {
      findings.push_back({Level::kWarning, "no-resources",
                          "no database is configured: a freeze holds none",
                          "holdfastctl setup shows what it would do"});
    }
  }

  static Finding filesystems_part(const World& world) {
    // Started by its socket; the service then stays.
    const auto process = world.process_named("holdfast-fsd");
    if (!process) {
      return {Level::kProblem, "fsd",
              "holdfast-fsd is not running: filesystems are neither flushed before a freeze nor "
              "thawed when no thaw comes",
              "systemctl start holdfast-fs.socket holdfast-fs.service"};
    }
    if ((process->effective_capabilities & kCapSysAdmin) == 0) {
      return {Level::kProblem, "fsd",
              "holdfast-fsd lacks CAP_SYS_ADMIN: it cannot thaw when no thaw comes",
              "look for overrides: systemctl cat holdfast-fs.service"};
    }
    return {Level::kOk, "fsd", "holdfast-fsd runs and may thaw"};
  }
};

}  // namespace

std::unique_ptr<Check> make_service_check() {
  return std::make_unique<ServiceCheck>();
}

}  // namespace holdfast::doctor
