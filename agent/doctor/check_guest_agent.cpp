// SPDX-License-Identifier: MIT
//
// The guest agent itself: a channel from the host, the program, its process, its version.
#include <charconv>

#include "doctor/check.h"

namespace holdfast::doctor {

namespace {

// "7.2.19" -> 702; 0 if it is no version.
int version_number(std::string_view text) {
  int major = 0;
  int minor = 0;
  const auto [dot, problem] = std::from_chars(text.data(), text.data() + text.size(), major);
  if (problem != std::errc{} || dot == text.data() + text.size() || *dot != '.') return 0;
  (void)std::from_chars(dot + 1, text.data() + text.size(), minor);
  return major * 100 + minor;
}

class GuestAgentCheck final : public Check {
 public:
  [[nodiscard]] std::string_view family() const override { return "guest-agent"; }

  [[nodiscard]] Findings run(const Patient& patient) const override {
    Findings findings;
    const GuestAgent& agent = patient.agent;
    const bool is_port = agent.method == "virtio-serial";
    if (is_port && !patient.world.exists(agent.port)) {
      findings.push_back({Level::kProblem, "no-port",
                          "the machine has no channel '" + agent.port + "' to its host",
                          "give the virtual machine a guest agent channel on the host "
                          "(virtio-serial, name org.qemu.guest_agent.0)"});
    } else {
      findings.push_back({Level::kOk, "port",
                          is_port ? "the channel '" + agent.port + "' is there"
                                  : "the guest agent uses " + agent.method});
    }
    if (!agent.process) {
      const bool installed =
          patient.world.exists("/usr/sbin/qemu-ga") || patient.world.exists("/usr/bin/qemu-ga");
      findings.push_back(
          installed
              ? Finding{Level::kProblem, "not-running", "qemu-ga is not running",
                        "systemctl start qemu-guest-agent; it starts by itself once the machine "
                        "has the channel"}
              : Finding{Level::kProblem, "not-installed", "the QEMU guest agent is not installed",
                        "apt-get install qemu-guest-agent"});
      return findings;
    }
    findings.push_back(
        {Level::kOk, "running", "qemu-ga runs, process " + std::to_string(agent.process->pid)});
    findings.push_back(version(patient.agent_version));
    return findings;
  }

 private:
  static Finding version(const std::string& text) {
    const int number = version_number(text);
    if (number == 0) {
      return {Level::kUnknown, "version", "the version of qemu-ga could not be found out",
              "/usr/sbin/qemu-ga --version"};
    }
    if (number < 502) {
      return {Level::kWarning, "version", "qemu-ga " + text + " is older than Holdfast is made for",
              "upgrade qemu-guest-agent to 5.2 or later"};
    }
    // 9.1 passes on what the hook prints.
    return {Level::kOk, "version",
            "qemu-ga " + text +
                (number < 901 ? "; of a refused freeze it tells the host the exit status alone"
                              : "; it tells the host in words why a freeze was refused")};
  }
};

}  // namespace

std::unique_ptr<Check> make_guest_agent_check() {
  return std::make_unique<GuestAgentCheck>();
}

}  // namespace holdfast::doctor
