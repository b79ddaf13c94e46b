// SPDX-License-Identifier: MIT
#include "core/config.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <utility>

#include "base/control_protocol.h"
#include "base/text.h"
#include "core/default_paths.h"

namespace holdfast::core {

namespace {

using base::Error;
using base::ErrorCode;
using base::OptionType;
using base::Result;

constexpr std::int64_t kMinute = 60'000;

Result<void> take_filesystems(AgentConfig& config, const std::string& path) {
  const auto given = config.options.list("filesystems");
  for (const std::string& entry : given) {
    if (entry == "auto" || entry == "none") {
      if (given.size() > 1) {
        return Error(ErrorCode::kConfiguration,
                     path + ": 'filesystems = " + entry + "' stands beside others");
      }
      config.without_filesystems = entry == "none";
      return {};
    }
    if (entry.front() != '/') {
      return Error(ErrorCode::kConfiguration,
                   path + ": '" + base::printable(entry, 100) +
                       "' is not right for 'filesystems': auto, none or an absolute path");
    }
    config.filesystems.push_back(entry);
  }
  return {};
}

Result<void> take_values(AgentConfig& config, const std::string& path) {
  const base::Options& options = config.options;
  config.freeze_timeout = options.duration("freeze-timeout");
  config.thaw_timeout = options.duration("thaw-timeout");
  config.max_hold = options.duration("max-hold");
  if (config.max_hold <= config.freeze_timeout) {
    return Error(ErrorCode::kConfiguration, path +
                                                ": 'max-hold' has to be longer than "
                                                "'freeze-timeout'")
        .with_hint("the dead-man is armed before the freeze begins");
  }
  config.plugin_directory = options.text("plugin-directory");
  config.run_directory = options.text("run-directory");
  config.state_directory = options.text("state-directory");
  config.control_socket = options.has("control-socket") ? options.text("control-socket")
                                                        : config.run_directory + "/control.sock";
  config.fs_socket = options.text("fs-socket");
  config.guest_agent_state = options.text("guest-agent-state");
  config.records_kept = static_cast<std::size_t>(options.integer("records-kept"));
  config.log_level = options.text("log-level");
  return take_filesystems(config, path);
}

Result<ResourceConfig> read_resource(const std::filesystem::path& file) {
  auto settings = base::read_settings(file.string());
  if (!settings) {
    return Error(ErrorCode::kConfiguration, settings.error().message())
        .with_hint(settings.error().hint());
  }
  ResourceConfig resource;
  resource.file = file.string();
  base::Options common(resource_option_table());
  for (base::Setting& setting : *settings) {
    const auto& table = common.table();
    const bool is_common = std::any_of(table.begin(), table.end(),
                                       [&](const auto& spec) { return spec.name == setting.key; });
    if (!is_common) {
      resource.settings.push_back(std::move(setting));
    } else if (auto set = common.set(setting); !set) {
      return std::move(set).error();
    }
  }
  if (auto complete = common.finish(resource.file); !complete) return std::move(complete).error();
  resource.plugin = common.text("plugin");
  if (!base::is_plain_name(resource.plugin)) {
    return Error(ErrorCode::kConfiguration, resource.file + ": '" +
                                                base::printable(resource.plugin, 64) +
                                                "' cannot be the name of a plugin");
  }
  resource.required = common.flag("required");
  resource.order = common.integer("order");
  resource.name = resource.plugin + ":" + file.stem().string();
  resource.printed = common.print();
  return resource;
}

Result<std::vector<ResourceConfig>> read_resources(const std::string& directory) {
  std::vector<ResourceConfig> resources;
  std::vector<std::filesystem::path> files;
  std::error_code problem;
  const std::filesystem::directory_iterator entries(directory, problem);
  if (problem == std::errc::no_such_file_or_directory) return resources;
  if (problem) {
    return Error(ErrorCode::kConfiguration, "unable to read '" + directory + "'")
        .caused_by(base::errno_error(problem.value(), "unable to open the directory"));
  }
  for (const auto& entry : entries) {
    const std::string name = entry.path().filename().string();
    // What package managers and editors leave behind ends otherwise, or begins with a dot.
    if (!name.ends_with(".conf") || name.starts_with('.')) continue;
    if (!base::is_plain_name(entry.path().stem().string())) {
      return Error(ErrorCode::kConfiguration, "'" + base::printable(entry.path().string()) +
                                                  "' cannot be the name of a resource")
          .with_hint("letters, digits, '.', '_' and '-' only");
    }
    files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  for (const auto& file : files) {
    auto resource = read_resource(file);
    if (!resource) return std::move(resource).error();
    resources.push_back(std::move(*resource));
  }
  return resources;
}

}  // namespace

base::OptionTable agent_option_table() {
  return {
      {.name = "freeze-timeout",
       .type = OptionType::kDuration,
       .default_value = "15s",
       .help = "how long a freeze may take before it is refused and everything is let go",
       .least = 1000,
       .most = 2 * kMinute},
      {.name = "thaw-timeout",
       .type = OptionType::kDuration,
       .default_value = "5s",
       .help = "how long verifying and releasing may take at the thaw",
       .least = 1000,
       .most = 2 * kMinute},
      {.name = "max-hold",
       .type = OptionType::kDuration,
       .default_value = "60s",
       .help = "when no thaw has come by then, the locks are released and the filesystems thawed",
       .least = 2000,
       .most = 60 * kMinute},
      {.name = "filesystems",
       .type = OptionType::kText,
       .default_value = "auto",
       .help = "mount points to flush before the locks and to thaw by the dead-man; auto: all "
               "writable ones on block devices; none: leave filesystems alone",
       .repeatable = true},
      {.name = "plugin-directory",
       .type = OptionType::kPath,
       .default_value = kPluginDirectory,
       .help = "where holdfast-NAME.so stand"},
      {.name = "resource-directory",
       .type = OptionType::kPath,
       .default_value = kResourceDirectory,
       .help = "where the resource files NAME.conf stand"},
      {.name = "run-directory",
       .type = OptionType::kPath,
       .default_value = kRunDirectory,
       .help = "socket and window marker; must not be on a disk that is frozen"},
      {.name = "state-directory",
       .type = OptionType::kPath,
       .default_value = kStateDirectory,
       .help = "freeze records; should be on a disk that is in the snapshot"},
      {.name = "control-socket",
       .type = OptionType::kPath,
       .help = "where the hook and holdfastctl connect; default: control.sock in run-directory"},
      {.name = "fs-socket",
       .type = OptionType::kPath,
       .default_value = "/run/holdfast-fs/fs.sock",
       .help = "where holdfast-fsd listens"},
      {.name = "guest-agent-state",
       .type = OptionType::kPath,
       .default_value = kGuestAgentState,
       .help = "where qemu-ga keeps its state (its --statedir): it shows there that it has thawed, "
               "before it runs its hook"},
      {.name = "records-kept",
       .type = OptionType::kInteger,
       .default_value = "20",
       .help = "how many freeze records are kept",
       .least = 1,
       .most = 1000},
      {.name = "log-level",
       .type = OptionType::kChoice,
       .default_value = "info",
       .help = "what is logged",
       .choices = {"debug", "info", "warn", "error"}},
  };
}

base::OptionTable resource_option_table() {
  return {
      {.name = "plugin",
       .type = OptionType::kText,
       .help = "what kind of resource this is: mysql, postgresql, exec",
       .required = true},
      {.name = "required",
       .type = OptionType::kBool,
       .default_value = "yes",
       .help = "no: this resource may fail without refusing the freeze, and the record says so"},
      {.name = "order",
       .type = OptionType::kInteger,
       .default_value = "0",
       .help = "lower is held first and released last; equal is held in parallel",
       .least = -1000,
       .most = 1000},
  };
}

Result<AgentConfig> load_config(const std::string& path, bool required) {
  AgentConfig config;
  auto settings = base::read_settings(path);
  if (settings) {
    if (auto set = config.options.set_all(*settings); !set) return std::move(set).error();
  } else if (required || settings.error().code() != ErrorCode::kNotFound) {
    return Error(ErrorCode::kConfiguration, settings.error().message())
        .with_hint(settings.error().hint());
  }
  if (auto taken = take_values(config, path); !taken) return std::move(taken).error();
  auto resources = read_resources(config.options.text("resource-directory"));
  if (!resources) return std::move(resources).error();
  config.resources = std::move(*resources);
  return config;
}

}  // namespace holdfast::core
