// SPDX-License-Identifier: MIT
//
// How the QEMU guest agent of this machine is set up: its process, what qemu-ga.conf says, and what
// its command line says after that. Pure, but for what World reads.
//
// qemu-ga(8): the file is read first, then the command line; of a key that is given twice the last
// wins, but the lists of commands accumulate. -F without a path means the default path.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "doctor/world.h"

namespace holdfast::doctor {

inline constexpr const char* kDefaultHook = "/etc/qemu/fsfreeze-hook";
inline constexpr const char* kOurHook = "/usr/lib/holdfast/fsfreeze-hook";
// As it is built everywhere but on Windows; see qemu-ga --help.
inline constexpr const char* kDefaultStateDirectory = "/var/run";

struct GuestAgent {
  std::optional<Process> process;
  std::string config_path;
  // Nothing: no hook is run.
  std::optional<std::string> hook;
  // "the command line" or the file's path.
  std::string hook_origin;
  std::vector<std::string> blocked;
  std::vector<std::string> allowed;  // empty: all
  std::string method = "virtio-serial";
  std::string port = "/dev/virtio-ports/org.qemu.guest_agent.0";
  // Where it keeps qga.state.isfrozen, and who says so.
  std::string state_directory = kDefaultStateDirectory;
  std::string state_directory_origin = "its default";
};

[[nodiscard]] GuestAgent guest_agent_of(const World& world);
// May the host give this command?
[[nodiscard]] bool is_permitted(const GuestAgent& agent, const std::string& command);

}  // namespace holdfast::doctor
