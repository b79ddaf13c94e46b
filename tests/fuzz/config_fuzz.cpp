// SPDX-License-Identifier: MIT
//
// agent.conf and a resource file, as holdfastd reads them at its start (core/config.h), and the
// resource's own keys against the table of its plugin. The input is agent.conf, then perhaps a line
// "%%" and the text of resources.d/main.conf.
#include "core/config.h"

#include <filesystem>

#include "base/duration.h"
#include "base/file.h"
#include "base/text.h"
#include "exec/exec_settings.h"
#include "fuzz.h"
#include "mysql/mysql_settings.h"
#include "postgresql/postgresql_settings.h"
#include "support/temporary_directory.h"

namespace holdfast::fuzz {

namespace {

constexpr std::string_view kSeparator = "\n%%\n";

struct Files {
  support::TemporaryDirectory directory;
  std::string agent = directory.file("agent.conf");
  std::string resources = directory.file("resources.d");
  std::string resource = resources + "/main.conf";

  Files() { std::filesystem::create_directory(resources); }
};

// "FILE:LINE: …" with a line that the file has, or "FILE: …" for what no one line is to blame for.
void check_place(const base::Error& error, std::string_view file, std::string_view text) {
  std::string_view rest = error.message();
  if (rest.starts_with("unable to ")) return;
  require(rest.starts_with(file), "the error names the file");
  rest.remove_prefix(file.size());
  require(rest.starts_with(':'), "a place follows the file");
  rest.remove_prefix(1);
  std::size_t line = 0;
  while (!rest.empty() && rest.front() >= '0' && rest.front() <= '9') {
    line = line * 10 + static_cast<std::size_t>(rest.front() - '0');
    rest.remove_prefix(1);
  }
  const auto lines =
      static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) + std::size_t{1};
  require(line <= lines, "the line is one of the file's");
  require(rest.starts_with(line > 0 ? ": " : " "), "the place ends with a colon");
}

void check_error(const base::Error& error, std::string_view file, std::string_view text) {
  require(error.code() == base::ErrorCode::kConfiguration, "it is a configuration error");
  require(is_one_safe_line(error.one_line()), "the error is one safe line");
  check_place(error, file, text);
}

// Settings that were accepted are accepted again as --print-config shows them.
void check_printed(const base::Options& options, const base::OptionTable& table) {
  const std::string printed = options.print();
  const auto again = base::parse_settings(printed, "printed");
  require(again.has_value(), "what is printed can be read");
  base::Options copy(table);
  for (const base::Setting& setting : *again) {
    // What cannot be shown as it is cannot be read back either.
    if (setting.value.find("\\x") != std::string::npos) return;
    if (setting.value.find("…") != std::string::npos) return;
    const auto set = copy.set(setting);
    require(set.has_value(), "what is printed is accepted");
  }
  for (const base::OptionSpec& spec : table) {
    if (spec.secret) continue;
    require(options.has(spec.name) == copy.has(spec.name), "the same keys have values");
    require(options.list(spec.name) == copy.list(spec.name), "the values are the same");
  }
}

void check_plugin(const core::ResourceConfig& resource, std::string_view text) {
  base::OptionTable table;
  if (resource.plugin == "mysql") table = mysql::mysql_option_table();
  if (resource.plugin == "postgresql") table = postgresql::postgresql_option_table();
  if (resource.plugin == "exec") table = exec::exec_option_table();
  base::Options options(table);
  if (const auto set = options.set_all(resource.settings); !set) {
    return check_error(set.error(), resource.file, text);
  }
  check_printed(options, table);
  if (resource.plugin != "exec") return;
  const auto settings = exec::exec_settings(options, resource.file);
  const auto alone = exec::read_exec_settings(resource.file);
  require(settings.has_value() == alone.has_value(), "daemon and helper agree on a resource");
  if (!settings) return check_error(settings.error(), resource.file, text);
  require(settings->program.empty() != settings->directory.empty(), "it runs one or the other");
  require(settings->program == alone->program && settings->directory == alone->directory &&
              settings->arguments == alone->arguments && settings->as_root == alone->as_root,
          "daemon and helper run the same");
}

void check_limits(const core::AgentConfig& config) {
  using namespace std::chrono_literals;
  require(config.freeze_timeout >= 1s && config.freeze_timeout <= 2min, "freeze-timeout");
  require(config.thaw_timeout >= 1s && config.thaw_timeout <= 2min, "thaw-timeout");
  require(config.max_hold > config.freeze_timeout && config.max_hold <= 1h, "max-hold");
  require(config.records_kept >= 1 && config.records_kept <= 1000, "records-kept");
  require(!config.without_filesystems || config.filesystems.empty(), "filesystems");
  for (const std::string& path : config.filesystems)
    require(path.starts_with('/'), "a filesystem is an absolute path");
  for (const std::string* path :
       {&config.plugin_directory, &config.run_directory, &config.state_directory,
        &config.control_socket, &config.fs_socket})
    require(path->starts_with('/'), "a path is absolute");
}

void check_duration(std::string_view text) {
  const auto span = base::parse_duration(text.substr(0, text.find('\n')));
  if (!span) return;
  require(span->count() >= 0, "a duration is not negative");
  const auto again = base::parse_duration(base::format_duration(*span));
  require(again && *again == *span, "a duration is read back as it was");
}

}  // namespace

void check(std::string_view input) {
  static const Files kFiles;
  check_duration(input);
  const std::size_t split = std::min(input.find(kSeparator), input.size());
  // The one key that the target needs for itself; a second one is an error, like any other.
  const std::string agent =
      "resource-directory = " + kFiles.resources + "\n" + std::string(input.substr(0, split));
  const std::string_view resource = input.substr(std::min(split + kSeparator.size(), input.size()));
  using base::Durable;
  require(base::write_file(kFiles.agent, agent, 0600, Durable::kNo).has_value(), "a file");
  require(base::write_file(kFiles.resource, resource, 0600, Durable::kNo).has_value(), "a file");

  const auto config = core::load_config(kFiles.agent, true);
  if (!config) {
    const bool in_resource = config.error().message().starts_with(kFiles.resource);
    return check_error(config.error(), in_resource ? kFiles.resource : kFiles.agent,
                       in_resource ? resource : agent);
  }
  check_limits(*config);
  check_printed(config->options, core::agent_option_table());
  require(config->resources.size() == 1, "there is one resource");
  const core::ResourceConfig& only = config->resources.front();
  require(base::is_plain_name(only.plugin) && only.name == only.plugin + ":main", "its name");
  require(only.order >= -1000 && only.order <= 1000, "its order");
  check_plugin(only, resource);
}

}  // namespace holdfast::fuzz
