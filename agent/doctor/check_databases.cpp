// SPDX-License-Identifier: MIT
//
// What the resources' own probes warn of (logs on filesystems that get frozen among it), and
// servers that run here and that nobody holds.
#include <array>
#include <set>

#include "doctor/check.h"

namespace holdfast::doctor {

namespace {

using base::Json;

struct Server {
  const char* process;
  const char* name;
  // Empty: there is none.
  const char* plugin;
};

constexpr std::array kServers{Server{"mysqld", "MySQL", "mysql"},
                              Server{"mariadbd", "MariaDB", "mysql"},
                              Server{"postgres", "PostgreSQL", "postgresql"},
                              Server{"redis-server", "Redis", "redis"},
                              Server{"valkey-server", "Valkey", "redis"},
                              Server{"mongod", "MongoDB", ""},
                              Server{"slapd", "OpenLDAP", ""},
                              Server{"influxd", "InfluxDB", ""}};

class DatabasesCheck final : public Check {
 public:
  [[nodiscard]] std::string_view family() const override { return "databases"; }

  [[nodiscard]] Findings run(const Patient& patient) const override {
    Findings findings;
    std::set<std::string> held;
    if (patient.status) look_at_warnings(*patient.status, held, findings);
    std::set<std::string> running;
    for (const Process& process : patient.world.processes())
      running.insert(process.name);
    for (const Server& server : kServers) {
      if (!running.contains(server.process)) continue;
      if (*server.plugin == '\0') {
        findings.push_back({Level::kWarning, "no-plugin",
                            std::string(server.name) + " runs here, and there is no plugin for it",
                            "an exec resource can hold it: see holdfast-exec(5)"});
      } else if (patient.status && !held.contains(server.plugin)) {
        findings.push_back({Level::kWarning, "not-held",
                            std::string(server.name) + " runs here, and no resource holds it",
                            "holdfastctl setup shows what it would do"});
      }
    }
    if (!patient.status) {
      findings.push_back(
          {Level::kUnknown, "not-held", "which databases are held is for holdfastd to say"});
    } else if (findings.empty()) {
      findings.push_back({Level::kOk, "databases", "every database that was found here is held"});
    }
    return findings;
  }

 private:
  static void look_at_warnings(const Json& status, std::set<std::string>& held,
                               Findings& findings) {
    const auto resources = base::array_member(status, "resources");
    if (!resources) return;
    for (const Json& resource : **resources) {
      held.insert(base::string_member(resource, "plugin").value_or(""));
      const auto warnings = base::array_member(resource, "warnings");
      if (!warnings) continue;
      for (const Json& warning : **warnings) {
        if (!warning.is_string()) continue;
        findings.push_back({Level::kWarning, "probe",
                            "'" + base::string_member(resource, "name").value_or("") +
                                "': " + warning.get<std::string>(),
                            "see the manual page of its plugin"});
      }
    }
  }
};

}  // namespace

std::unique_ptr<Check> make_databases_check() {
  return std::make_unique<DatabasesCheck>();
}

}  // namespace holdfast::doctor
