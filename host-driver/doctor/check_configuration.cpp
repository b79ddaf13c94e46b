// SPDX-License-Identifier: MIT
#include <sys/stat.h>
#include <unistd.h>

#include "base/duration.h"
#include "base/text.h"
#include "doctor/doctor.h"
#include "run/channel.h"

namespace holdfast::host::doctor {

namespace {

constexpr const char* kArea = "configuration";
// The guest's own freeze-timeout, and what it needs beyond that to say so.
constexpr base::Millis kGuestFreeze{15000};
constexpr base::Millis kGuestThaw{5000};

void look_at_levels(const config::Settings& settings, Findings& findings) {
  if (settings.require == "crash") {
    findings.push_back({Level::kWarning, kArea, "require-crash",
                        "require = crash: a backup without any freeze counts as good",
                        "require = application, where the guest runs holdfastd"});
  }
  if (settings.require != "crash" && run::agent_endpoint(settings).empty()) {
    findings.push_back(
        {Level::kProblem, kArea, "no-agent",
         "'agent' is not set, and require = " + settings.require + " cannot be reached without it",
         "set it in vms.d/" + settings.vm + ".conf"});
  }
}

void look_at_times(const config::Settings& settings, Findings& findings) {
  if (settings.freeze_timeout <= kGuestFreeze) {
    findings.push_back({Level::kWarning, kArea, "freeze-timeout",
                        "freeze-timeout " + base::format_duration(settings.freeze_timeout) +
                            " is not longer than the guest's own (15s by default): its reason is "
                            "not heard",
                        "make it 30s"});
  }
  if (settings.thaw_timeout <= kGuestThaw) {
    findings.push_back({Level::kWarning, kArea, "thaw-timeout",
                        "thaw-timeout " + base::format_duration(settings.thaw_timeout) +
                            " is not longer than the guest's own (5s by default)",
                        "make it 30s"});
  }
}

}  // namespace

Findings check_configuration(const Patient& patient) {
  const config::Settings& settings = patient.settings;
  Findings findings;
  for (const auto& [key, value] :
       {std::pair("qmp", &settings.qmp), {"repository", &settings.repository}}) {
    if (!value->empty() || (key == std::string("qmp") && run::is_by_libvirt(settings))) continue;
    findings.push_back({Level::kProblem, kArea, std::string("no-") + key,
                        "'" + std::string(key) + "' is not set",
                        "set it in vms.d/" + settings.vm + ".conf or host.conf"});
  }
  if (run::is_by_libvirt(settings) && settings.method != "overlay" && settings.method != "backup") {
    findings.push_back({Level::kProblem, kArea, "method",
                        "the method '" + settings.method + "' is not for machines of libvirt's",
                        "method = overlay, or backup"});
  }
  look_at_levels(settings, findings);
  look_at_times(settings, findings);
  const bool keeps_all = settings.keep.last + settings.keep.hourly + settings.keep.daily +
                             settings.keep.weekly + settings.keep.monthly + settings.keep.yearly ==
                         0;
  if (keeps_all) {
    findings.push_back({Level::kWarning, kArea, "no-retention",
                        "no keep- rule is set: nothing is ever removed, and the repository fills",
                        "for example keep-daily = 7 and keep-weekly = 4"});
  }
  if (const std::string& metrics = settings.metrics_directory; !metrics.empty()) {
    struct stat status {};
    const bool there = ::stat(metrics.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
    if (!there || ::access(metrics.c_str(), W_OK) != 0) {
      findings.push_back({Level::kWarning, kArea, "metrics-directory",
                          "metrics-directory '" + base::printable(metrics) + "' is " +
                              (there ? "not writable" : "not there"),
                          "make it, or install prometheus-node-exporter"});
    }
  }
  if (!settings.enabled) {
    findings.push_back({Level::kWarning, kArea, "not-enabled",
                        "enabled = no: 'backup --all' leaves this machine out",
                        "remove that line when the machine is ready"});
  }
  if (findings.empty()) {
    findings.push_back({Level::kOk, kArea, "configuration",
                        "require " + settings.require + ", prefer " + settings.prefer +
                            ", method " + settings.method});
  }
  return findings;
}

}  // namespace holdfast::host::doctor
