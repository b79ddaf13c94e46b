// SPDX-License-Identifier: MIT
#include "daemon/options.h"

#include <boost/program_options/errors.hpp>
#include <boost/program_options/options_description.hpp>
#include <boost/program_options/parsers.hpp>
#include <boost/program_options/variables_map.hpp>

#include "base/command_line.h"
#include "core/default_paths.h"

namespace holdfast::daemon {

namespace po = boost::program_options;

base::OptionTable command_line_table() {
  using base::OptionType;
  return {
      {.name = "config",
       .type = OptionType::kPath,
       .default_value = core::kConfigurationFile,
       .help = "the configuration file"},
      {.name = "check-config",
       .type = OptionType::kBool,
       .help = "read the whole configuration, say whether it is right, and end"},
      {.name = "print-config",
       .type = OptionType::kBool,
       .help = "print the effective settings and where they come from, and end"},
      {.name = "help", .type = OptionType::kBool, .help = "print this text, and end"},
      {.name = "version", .type = OptionType::kBool, .help = "print the version, and end"},
  };
}

std::string usage_text() {
  std::string text = "usage: holdfastd [OPTION]...\n";
  for (const base::OptionSpec& option : command_line_table()) {
    std::string left = "  --" + option.name;
    if (option.type != base::OptionType::kBool) left += "=PATH";
    left.resize(20, ' ');
    text += left + option.help;
    if (option.default_value) text += " (" + *option.default_value + ")";
    text += "\n";
  }
  return text;
}

base::Result<CommandLine> parse_command_line(int argc, const char* const* argv) {
  po::options_description known;
  for (const base::OptionSpec& option : command_line_table()) {
    if (option.type == base::OptionType::kBool) {
      known.add_options()(option.name.c_str(), option.help.c_str());
    } else {
      known.add_options()(option.name.c_str(), po::value<std::string>(), option.help.c_str());
    }
  }
  po::variables_map given;
  try {
    // No guessing of abbreviations: a unit file has to mean the same after an upgrade.
    const int style =
        po::command_line_style::default_style & ~po::command_line_style::allow_guessing;
    po::store(po::command_line_parser(argc, argv).options(known).positional({}).style(style).run(),
              given);
  } catch (const po::error& problem) {
    return base::Error(base::ErrorCode::kUsage, base::complaint_about({argv, argv + argc}, problem))
        .with_hint("try holdfastd --help");
  }
  CommandLine line;
  line.config_named = given.contains("config");
  line.config_path =
      line.config_named ? given["config"].as<std::string>() : core::kConfigurationFile;
  line.print_config = given.contains("print-config");
  line.check_config = given.contains("check-config");
  line.help = given.contains("help");
  line.version = given.contains("version");
  return line;
}

}  // namespace holdfast::daemon
