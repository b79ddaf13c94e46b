// SPDX-License-Identifier: MIT
#include "exec/exec_settings.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/text.h"

namespace holdfast::exec {

using base::Error;
using base::ErrorCode;
using base::OptionType;
using base::Result;

base::OptionTable exec_option_table() {
  return {
      {.name = "program",
       .type = OptionType::kPath,
       .default_value = std::nullopt,
       .help = "the program to run; its last argument is the verb",
       .choices = {}},
      {.name = "argument",
       .type = OptionType::kText,
       .default_value = std::nullopt,
       .help = "an argument of the program, before the verb",
       .choices = {},
       .repeatable = true},
      {.name = "directory",
       .type = OptionType::kPath,
       .default_value = std::nullopt,
       .help = "run every executable file in this directory instead",
       .choices = {}},
      {.name = "as-root",
       .type = OptionType::kBool,
       .default_value = "no",
       .help = "run as root, by way of holdfast-execd",
       .choices = {}},
      {.name = "timeout",
       .type = OptionType::kDuration,
       .default_value = "10s",
       .help = "how long one run of one program may take",
       .least = 100,
       .most = 600'000,
       .choices = {}},
      {.name = "exec-socket",
       .type = OptionType::kPath,
       .default_value = kDefaultExecdSocket,
       .help = "where holdfast-execd listens",
       .choices = {}},
  };
}

Result<ExecSettings> exec_settings(const base::Options& options, const std::string& where) {
  const bool has_program = options.has("program");
  if (has_program == options.has("directory")) {
    return Error(ErrorCode::kConfiguration, base::printable(where) +
                                                ": one of 'program' and 'directory' is needed" +
                                                (has_program ? ", not both" : ""));
  }
  ExecSettings settings;
  if (has_program) {
    settings.program = options.text("program");
  } else {
    settings.directory = options.text("directory");
  }
  settings.arguments = options.list("argument");
  if (!has_program && !settings.arguments.empty()) {
    return Error(ErrorCode::kConfiguration,
                 base::printable(where) + ": 'argument' belongs to 'program', not to 'directory'");
  }
  settings.as_root = options.flag("as-root");
  settings.timeout = options.duration("timeout");
  settings.execd_socket = options.text("exec-socket");
  return settings;
}

Result<ExecSettings> read_exec_settings(const std::string& path) {
  auto settings = base::read_settings(path);
  if (!settings) return std::move(settings).error();
  base::Options options(exec_option_table());
  bool is_ours = false;
  for (const base::Setting& setting : *settings) {
    if (setting.key == "plugin") {
      is_ours = setting.value == "exec";
      continue;
    }
    // The daemon has checked these; they say nothing about what runs.
    constexpr std::array<std::string_view, 2> kCommon{"required", "order"};
    if (std::find(kCommon.begin(), kCommon.end(), setting.key) != kCommon.end()) continue;
    if (auto set = options.set(setting); !set) return std::move(set).error();
  }
  if (!is_ours) {
    return Error(ErrorCode::kConfiguration,
                 base::printable(path) + ": not a resource of plugin 'exec'");
  }
  return exec_settings(options, path);
}

}  // namespace holdfast::exec
