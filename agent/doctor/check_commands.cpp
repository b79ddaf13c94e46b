// SPDX-License-Identifier: MIT
//
// Lists of commands that the guest agent refuses (block-rpcs, once blacklist) or alone accepts
// (allow-rpcs): some distributions and hosters ship them.
#include <array>

#include "doctor/check.h"

namespace holdfast::doctor {

namespace {

// Without these no host can freeze, know that it has, and thaw.
constexpr std::array kNeeded{
    "guest-sync-delimited",  "guest-sync",          "guest-ping",           "guest-info",
    "guest-fsfreeze-freeze", "guest-fsfreeze-thaw", "guest-fsfreeze-status"};
// With these the host fetches the freeze record, its proof.
constexpr std::array kProof{"guest-file-open", "guest-file-read", "guest-file-close"};

template <typename Commands>
std::string refused(const GuestAgent& agent, const Commands& commands) {
  std::string list;
  for (const char* command : commands) {
    if (!is_permitted(agent, command)) list += (list.empty() ? "" : ", ") + std::string(command);
  }
  return list;
}

class CommandsCheck final : public Check {
 public:
  [[nodiscard]] std::string_view family() const override { return "commands"; }

  [[nodiscard]] Findings run(const Patient& patient) const override {
    Findings findings;
    const std::string where = "'" + patient.agent.config_path + "' or on qemu-ga's command line";
    if (const auto list = refused(patient.agent, kNeeded); !list.empty()) {
      findings.push_back({Level::kProblem, "commands-blocked", "the guest agent refuses " + list,
                          "take them out of block-rpcs, or into allow-rpcs, in " + where});
    }
    if (const auto list = refused(patient.agent, kProof); !list.empty()) {
      findings.push_back(
          {Level::kWarning, "proof-blocked",
           "the guest agent refuses " + list +
               ": the host cannot fetch the record that proves the holds",
           "allow them in " + where + "; a backup gets no better level than 'filesystem' without"});
    }
    if (findings.empty()) {
      findings.push_back({Level::kOk, "commands", "the guest agent accepts what a host needs"});
    }
    return findings;
  }
};

}  // namespace

std::unique_ptr<Check> make_commands_check() {
  return std::make_unique<CommandsCheck>();
}

}  // namespace holdfast::doctor
