// SPDX-License-Identifier: MIT
//
// The settings of an exec resource: which program, or which directory of programs, and as whom.
// The plugin gets them from the daemon, holdfast-execd reads them from the resource file itself.
//
// Threads: plain values.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/options.h"
#include "base/result.h"

namespace holdfast::exec {

inline constexpr const char* kDefaultExecdSocket = "/run/holdfast-exec/exec.sock";
inline constexpr const char* kDefaultResourceDirectory = "/etc/holdfast/resources.d";

struct ExecSettings {
  // One of the two is empty.
  std::string program;
  std::string directory;
  std::vector<std::string> arguments;
  bool as_root = false;
  // How long one run of one program may take, within the deadline of the whole.
  base::Millis timeout{0};
  std::string execd_socket;
};

// The plugin's own keys, without those that every resource has.
[[nodiscard]] base::OptionTable exec_option_table();

// kConfiguration if they do not make sense together; `where` names the resource or its file.
[[nodiscard]] base::Result<ExecSettings> exec_settings(const base::Options& options,
                                                       const std::string& where);

// The settings in a whole resource file, the common keys included; kConfiguration unless it is a
// resource of this plugin.
[[nodiscard]] base::Result<ExecSettings> read_exec_settings(const std::string& path);

}  // namespace holdfast::exec
