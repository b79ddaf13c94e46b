// SPDX-License-Identifier: MIT
//
// Will holdfastd see the guest agent thaw (daemon/guest_agent_watch.h)? It watches the directory in
// which qemu-ga keeps its state, if that is root's alone. If it does not, the locks are released
// when the thaw hook has started: that costs the writers time, and nothing else.
#include <sys/stat.h>

#include "core/config.h"
#include "core/default_paths.h"
#include "doctor/check.h"

namespace holdfast::doctor {

namespace {

constexpr const char* kCost = ": the locks are held until qemu-ga has started its thaw hook";

// What guest-agent-state says, or its default; nothing if the configuration cannot be read.
std::optional<std::string> watched_directory(const World& world) {
  const std::string path = core::kConfigurationFile;
  if (!world.exists(path)) return core::kGuestAgentState;
  auto settings = base::read_settings(world.real(path));
  base::Options options(core::agent_option_table());
  if (!settings || !options.set_all(*settings)) return std::nullopt;
  return options.text("guest-agent-state");
}

class EarlyReleaseCheck final : public Check {
 public:
  [[nodiscard]] std::string_view family() const override { return "early-release"; }

  [[nodiscard]] Findings run(const Patient& patient) const override {
    const auto watched = watched_directory(patient.world);
    if (!watched) {
      return {{Level::kUnknown, "agent-state", "which directory of qemu-ga's holdfastd watches",
               "see what is said of the configuration, and run this as root"}};
    }
    return {judge(patient.world, patient.agent, *watched)};
  }

 private:
  static Finding judge(const World& world, const GuestAgent& agent, const std::string& watched) {
    const std::string watches = "holdfastd watches '" + watched + "' for qemu-ga's thaw";
    const std::string kept = world.without_links(agent.state_directory);
    if (world.without_links(watched) != kept) {
      return {Level::kWarning, "agent-state",
              watches + ", but qemu-ga keeps its state in '" + agent.state_directory + "' (" +
                  agent.state_directory_origin + ")" + kCost,
              "set guest-agent-state = " + agent.state_directory + " in " +
                  core::kConfigurationFile + ", and restart holdfastd"};
    }
    const auto status = world.status(kept);
    if (!status || !S_ISDIR(status->mode)) {
      return {Level::kWarning, "agent-state", watches + ", which is no directory" + kCost,
              "let --statedir of qemu-ga and guest-agent-state name one that is there"};
    }
    if (status->owner != 0 || (status->mode & (S_IWGRP | S_IWOTH)) != 0) {
      return {Level::kWarning, "agent-state",
              watches + ", to which others than root may write, and so does not believe it" + kCost,
              "chown root " + kept + " && chmod go-w " + kept +
                  ", or give qemu-ga a directory of its own (--statedir)"};
    }
    return {Level::kOk, "agent-state", watches};
  }
};

}  // namespace

std::unique_ptr<Check> make_early_release_check() {
  return std::make_unique<EarlyReleaseCheck>();
}

}  // namespace holdfast::doctor
