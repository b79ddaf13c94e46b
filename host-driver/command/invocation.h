// SPDX-License-Identifier: MIT
//
// The command line, taken apart and checked; no command has run yet.
//
// Threads: plain values. Errors: kUsage, one specific line.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/options.h"
#include "base/result.h"

namespace holdfast::host::command {

struct Invocation {
  std::string verb;  // "help" and "version" as well
  std::vector<std::string> arguments;
  std::string config_directory;
  // Options that have the name of a configuration key.
  std::vector<base::Setting> overrides;
  bool json = false;
  bool quiet = false;
  bool print_config = false;
  bool keep_failed = false;
  bool full = false;
  bool new_repository = false;
  bool all = false;
  // Of 'backup' and 'restore': this consistency group.
  std::string group;
  // The events of the run go to this descriptor, and nothing to the standard streams.
  std::optional<int> report_fd;
  bool dry_run = false;
  // Of 'verify': in a throwaway machine; and the backup that waits longest for it.
  bool boot = false;
  bool schedule = false;
  std::string label;
  bool discard = false;
  bool with_memory = false;
  bool foreign = false;
  std::string to;
  // Of a container: its files go back into it while it runs; these paths alone, unless empty.
  bool into_running = false;
  std::vector<std::string> paths;
  std::vector<std::string> disks;
  std::string format = "qcow2";
  bool resume = false;
};

[[nodiscard]] base::Result<Invocation> parse_command_line(const std::vector<std::string>& words);
[[nodiscard]] std::string help_text();

// The verbs, and the options that are no configuration keys, for the test of the manual page.
[[nodiscard]] std::vector<std::string> verb_names();
[[nodiscard]] std::vector<std::string> own_option_names();

// The same options for the shell's completion, and the verbs that each is for; none: for all.
struct OwnOption {
  base::OptionSpec spec;
  std::vector<std::string> verbs;
};
[[nodiscard]] std::vector<OwnOption> own_options_table();

}  // namespace holdfast::host::command
