// SPDX-License-Identifier: MIT
//
// Where things are when nobody says otherwise. The packages install by these.
#pragma once

namespace holdfast::core {

inline constexpr const char* kConfigurationFile = "/etc/holdfast/agent.conf";
inline constexpr const char* kResourceDirectory = "/etc/holdfast/resources.d";
inline constexpr const char* kPluginDirectory = "/usr/lib/holdfast/plugins";
inline constexpr const char* kRunDirectory = "/run/holdfast";
inline constexpr const char* kStateDirectory = "/var/lib/holdfast";
// Debian's qemu-ga says /var/run, which is this.
inline constexpr const char* kGuestAgentState = "/run";

}  // namespace holdfast::core
