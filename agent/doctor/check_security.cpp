// SPDX-License-Identifier: MIT
//
// AppArmor and SELinux can keep the guest agent from running its hook, or the hook from connecting.
// Debian ships no profile for qemu-ga; other distributions and administrators do.
#include "base/text.h"
#include "doctor/check.h"

namespace holdfast::doctor {

namespace {

class SecurityCheck final : public Check {
 public:
  [[nodiscard]] std::string_view family() const override { return "security"; }

  [[nodiscard]] Findings run(const Patient& patient) const override {
    Findings findings;
    if (const auto enforce = patient.world.read("/sys/fs/selinux/enforce");
        enforce && base::trimmed(*enforce) == "1") {
      findings.push_back({Level::kWarning, "selinux",
                          "SELinux enforces: the guest agent may run the hook only with the right "
                          "label",
                          "semanage fcontext -a -t virt_qemu_ga_unconfined_exec_t " +
                              std::string(kOurHook) + " && restorecon " + kOurHook});
    }
    if (patient.agent.process) {
      const std::string directory = "/proc/" + std::to_string(patient.agent.process->pid);
      auto label = patient.world.read(directory + "/attr/apparmor/current");
      if (!label) label = patient.world.read(directory + "/attr/current");
      const std::string text(base::trimmed(label.value_or("")));
      // An SELinux label has colons; it is spoken of above.
      if (text.ends_with("(enforce)")) {
        findings.push_back({Level::kWarning, "apparmor",
                            "qemu-ga is confined by the AppArmor profile '" + text + "'",
                            "allow it to execute " + std::string(kOurHook) +
                                " and that to connect to /run/holdfast/control.sock, or: "
                                "aa-complain /usr/sbin/qemu-ga"});
      }
    }
    if (findings.empty()) {
      findings.push_back({Level::kOk, "security", "nothing confines the guest agent"});
    }
    return findings;
  }
};

}  // namespace

std::unique_ptr<Check> make_security_check() {
  return std::make_unique<SecurityCheck>();
}

}  // namespace holdfast::doctor
