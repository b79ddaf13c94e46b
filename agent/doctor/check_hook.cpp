// SPDX-License-Identifier: MIT
//
// Does the guest agent run a hook, and is it ours?
#include <sys/stat.h>

#include <algorithm>

#include "doctor/check.h"

namespace holdfast::doctor {

namespace {

constexpr const char* kAside = "/etc/qemu/fsfreeze-hook.distrib";
constexpr const char* kDropIn = "/usr/lib/systemd/system/qemu-guest-agent.service.d/holdfast.conf";
constexpr const char* kOverrides = "/etc/systemd/system/qemu-guest-agent.service.d";
constexpr const char* kUnit = "/etc/systemd/system/qemu-guest-agent.service";

// Where the hook that is at `path` is in the end: one link is followed.
std::string program_at(const World& world, const std::string& path) {
  const auto target = world.link(path);
  if (!target) return path;
  return target->starts_with('/') ? *target : path.substr(0, path.rfind('/') + 1) + *target;
}

class HookCheck final : public Check {
 public:
  [[nodiscard]] std::string_view family() const override { return "hook"; }

  [[nodiscard]] Findings run(const Patient& patient) const override {
    Findings findings;
    if (!patient.agent.process && !patient.agent.hook) {
      findings.push_back({Level::kUnknown, "hook-not-run",
                          "whether qemu-ga runs a hook shows when it is running"});
    } else if (!patient.agent.hook) {
      findings.push_back(no_hook(patient.world));
    } else {
      look_at_hook(patient, findings);
    }
    own_hook(patient.world, findings);
    return findings;
  }

 private:
  static Finding no_hook(const World& world) {
    Finding finding{Level::kProblem, "hook-not-run",
                    "qemu-ga runs without -F: no hook is run, and nothing is held"};
    if (world.exists(kUnit) || !world.list(kOverrides).empty()) {
      finding.advice = "a unit of your own wins over the one of the package: add -F" +
                       std::string(kDefaultHook) + " to its ExecStart=, and restart it";
    } else if (world.exists(kDropIn)) {
      finding.advice = "systemctl daemon-reload && systemctl restart qemu-guest-agent";
    } else {
      finding.advice =
          "add -F" + std::string(kDefaultHook) +
          " to the ExecStart= of qemu-guest-agent.service, or fsfreeze-hook=" + kDefaultHook +
          " to [general] of /etc/qemu/qemu-ga.conf, and restart it";
    }
    return finding;
  }

  static void look_at_hook(const Patient& patient, Findings& findings) {
    const World& world = patient.world;
    const std::string& hook = *patient.agent.hook;
    const std::string put_right = "ln -sf " + std::string(kOurHook) + " " + hook;
    const std::string origin = " (from " + patient.agent.hook_origin + ")";
    if (!world.exists(hook)) {
      findings.push_back({Level::kProblem, "hook-missing",
                          "qemu-ga is to run '" + hook + "'" + origin + ", which is not there",
                          put_right});
      return;
    }
    const std::string program = program_at(world, hook);
    if (program != kOurHook) {
      const std::string text = world.read(hook).value_or("");
      const bool dispatcher = text.find("fsfreeze-hook.d") != std::string::npos;
      findings.push_back(
          {Level::kProblem, "hook-not-ours",
           "'" + hook + "'" + origin + " is not Holdfast's" +
               (dispatcher ? ": it runs fsfreeze-hook.d and ignores every exit status" : ""),
           put_right + (dispatcher ? "; Holdfast runs fsfreeze-hook.d itself"
                                   : "; to keep the other one, copy it to " + hook + ".d first")});
      return;
    }
    const auto status = world.status(program);
    if (!status) {
      findings.push_back({Level::kProblem, "hook-missing",
                          "'" + hook + "' leads to '" + program + "', which is not there",
                          "apt-get install --reinstall holdfast-agent"});
    } else if ((status->mode & 0111U) == 0 || (status->mode & 0022U) != 0) {
      findings.push_back({Level::kProblem, "hook-mode",
                          "'" + program + "' cannot be executed, or others may write it",
                          "chmod 0755 " + program});
    } else {
      findings.push_back(
          {Level::kOk, "hook", "qemu-ga runs '" + hook + "'" + origin + ", which is Holdfast's"});
    }
  }

  // What the package has put aside.
  static void own_hook(const World& world, Findings& findings) {
    const auto aside = world.read(kAside);
    if (!aside || aside->find("fsfreeze-hook.d") != std::string::npos) return;
    const auto local = world.list(std::string(kDefaultHook) + ".d");
    const bool kept = std::any_of(local.begin(), local.end(), [&](const std::string& name) {
      return world.read(std::string(kDefaultHook) + ".d/" + name) == aside;
    });
    if (kept) {
      findings.push_back({Level::kOk, "own-hook", "your own hook is run from fsfreeze-hook.d"});
      return;
    }
    findings.push_back(
        {Level::kWarning, "own-hook",
         "the hook that stood there before is kept as '" + std::string(kAside) + "' and is not run",
         "cp " + std::string(kAside) + " " + kDefaultHook + ".d/local, if it is still needed"});
  }
};

}  // namespace

std::unique_ptr<Check> make_hook_check() {
  return std::make_unique<HookCheck>();
}

}  // namespace holdfast::doctor
