// SPDX-License-Identifier: MIT
//
// Does the configuration read, and do its times fit each other, the units and what hosts wait for?
#include "base/duration.h"
#include "core/config.h"
#include "core/default_paths.h"
#include "doctor/check.h"

namespace holdfast::doctor {

namespace {

using base::format_duration;
using base::Millis;
using namespace std::chrono_literals;

// TimeoutStopSec= of the unit, less what the daemon allows itself beyond thaw-timeout.
constexpr Millis kMostThaw = 15s;
// Of the hosts that are known, the shortest waits for a freeze and a thaw: Velero's hook, KubeVirt.
constexpr Millis kHostFreeze = 30s;
constexpr Millis kHostThaw = 20s;
constexpr Millis kLeastLeft = 10s;

class TimeoutsCheck final : public Check {
 public:
  [[nodiscard]] std::string_view family() const override { return "configuration"; }

  [[nodiscard]] Findings run(const Patient& patient) const override {
    const std::string path = core::kConfigurationFile;
    if (!patient.world.exists(path)) {
      return {{Level::kOk, "defaults", "'" + path + "' is not there: the defaults are used"}};
    }
    auto settings = base::read_settings(patient.world.real(path));
    base::Options options(core::agent_option_table());
    if (settings) {
      if (auto set = options.set_all(*settings); !set) return {wrong(set.error())};
    } else if (settings.error().code() == base::ErrorCode::kPermission) {
      return {{Level::kUnknown, "configuration", settings.error().text(), "run this as root"}};
    } else {
      return {wrong(settings.error())};
    }
    return look_at(options.duration("freeze-timeout"), options.duration("thaw-timeout"),
                   options.duration("max-hold"));
  }

 private:
  static Finding wrong(const base::Error& error) {
    return {Level::kProblem, "configuration",
            "the configuration is wrong, and holdfastd does not start on it: " + error.one_line(),
            "holdfastd --check-config"};
  }

  static Findings look_at(Millis freeze, Millis thaw, Millis hold) {
    Findings findings;
    const std::string times = "freeze-timeout " + format_duration(freeze) + ", thaw-timeout " +
                              format_duration(thaw) + ", max-hold " + format_duration(hold);
    if (hold <= freeze) {
      findings.push_back({Level::kProblem, "max-hold",
                          times + ": everything would be let go before the freeze is over",
                          "max-hold has to be longer than freeze-timeout"});
    } else if (hold - freeze < kLeastLeft) {
      findings.push_back({Level::kWarning, "max-hold",
                          times + ": a slow freeze leaves the host less than " +
                              format_duration(kLeastLeft) + " for its snapshot",
                          "make max-hold longer, or freeze-timeout shorter"});
    }
    if (freeze > kHostFreeze) {
      findings.push_back({Level::kWarning, "freeze-timeout",
                          times + ": some hosts wait no longer than " +
                              format_duration(kHostFreeze) + " for a freeze (Velero)",
                          "make freeze-timeout shorter, unless you know your host"});
    }
    if (thaw > kHostThaw) {
      findings.push_back({Level::kWarning, "thaw-timeout",
                          times + ": some hosts wait no longer than " + format_duration(kHostThaw) +
                              " for a thaw (KubeVirt)",
                          "make thaw-timeout shorter, unless you know your host"});
    }
    if (thaw > kMostThaw) {
      findings.push_back({Level::kWarning, "stop-timeout",
                          times + ": holdfastd.service is killed 20s after it is told to stop, "
                                  "before a slow release is over",
                          "make thaw-timeout shorter, or raise TimeoutStopSec= in an override"});
    }
    if (findings.empty()) findings.push_back({Level::kOk, "timeouts", times});
    return findings;
  }
};

}  // namespace

std::unique_ptr<Check> make_timeouts_check() {
  return std::make_unique<TimeoutsCheck>();
}

}  // namespace holdfast::doctor
