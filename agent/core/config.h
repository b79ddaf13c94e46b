// SPDX-License-Identifier: MIT
//
// What holdfastd is told: agent.conf, and one file per resource in resources.d. Read once, before
// READY=1; every mistake is an error with file and line, and the daemon does not start on it.
//
// Threads: the main thread, at the start. Plain values afterwards.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/options.h"
#include "base/result.h"

namespace holdfast::core {

// agent.conf.
[[nodiscard]] base::OptionTable agent_option_table();
// The keys that every resource file has, beside those of its plugin.
[[nodiscard]] base::OptionTable resource_option_table();

// One file of resources.d, not yet shown to its plugin.
struct ResourceConfig {
  std::string name;  // "mysql:main"
  std::string file;  // "/etc/holdfast/resources.d/main.conf"
  std::string plugin;
  bool required = true;
  std::int64_t order = 0;
  std::vector<base::Setting> settings;  // the plugin's own
  std::string printed;                  // the common ones, for --print-config
};

struct AgentConfig {
  base::Options options{agent_option_table()};
  std::vector<ResourceConfig> resources;  // by file name

  base::Millis freeze_timeout{};
  base::Millis thaw_timeout{};
  base::Millis max_hold{};
  // Empty: find them anew at each freeze ("auto").
  std::vector<std::string> filesystems;
  bool without_filesystems = false;  // "none"
  std::string plugin_directory;
  std::string run_directory;
  std::string state_directory;
  std::string control_socket;
  std::string fs_socket;
  std::string guest_agent_state;
  std::size_t records_kept = 0;
  std::string log_level;
};

// agent.conf and all resource files. A missing agent.conf means defaults only if `required` is
// false; a missing resource directory means that there are no resources.
[[nodiscard]] base::Result<AgentConfig> load_config(const std::string& path, bool required);

}  // namespace holdfast::core
