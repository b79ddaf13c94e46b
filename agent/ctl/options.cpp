// SPDX-License-Identifier: MIT
#include "ctl/options.h"

#include <boost/program_options/errors.hpp>
#include <boost/program_options/options_description.hpp>
#include <boost/program_options/parsers.hpp>
#include <boost/program_options/positional_options.hpp>
#include <boost/program_options/variables_map.hpp>

#include "base/text.h"

namespace holdfast::ctl {

namespace po = boost::program_options;

std::vector<VerbHelp> verb_table() {
  using base::Verb;
  return {
      {Verb::kStatus, "the state of the service and of every resource"},
      {Verb::kFreeze, "hold everything, as the hook does; filesystems are not frozen by this"},
      {Verb::kThaw, "verify and release everything"},
      {Verb::kCheck, "prove now that every resource can be reached and may be held"},
      {Verb::kReport, "the last freeze records"},
  };
}

base::OptionTable command_line_table() {
  using base::OptionType;
  return {
      {.name = "json", .type = OptionType::kBool, .help = "print JSON instead of a table"},
      {.name = "socket",
       .type = OptionType::kPath,
       .default_value = base::kDefaultControlSocket,
       .help = "the control socket"},
      {.name = "help", .type = OptionType::kBool, .help = "print this text, and end"},
      {.name = "version", .type = OptionType::kBool, .help = "print the version, and end"},
  };
}

std::string usage_text() {
  std::string text = "usage: holdfastctl [OPTION]... VERB\n\n";
  const auto row = [&](std::string left, const std::string& help) {
    left.resize(20, ' ');
    text += left + help + "\n";
  };
  for (const VerbHelp& verb : verb_table())
    row("  " + std::string(base::name_of(verb.verb)), verb.help);
  text += "\n";
  for (const base::OptionSpec& option : command_line_table()) {
    row("  --" + option.name + (option.type == base::OptionType::kPath ? "=PATH" : ""),
        option.help + (option.default_value ? " (" + *option.default_value + ")" : ""));
  }
  return text;
}

base::Result<CommandLine> parse_command_line(int argc, const char* const* argv) {
  po::options_description known;
  known.add_options()("verb", po::value<std::vector<std::string>>());
  for (const base::OptionSpec& option : command_line_table()) {
    if (option.type == base::OptionType::kBool) {
      known.add_options()(option.name.c_str(), option.help.c_str());
    } else {
      known.add_options()(option.name.c_str(), po::value<std::string>(), option.help.c_str());
    }
  }
  const auto usage = [](const std::string& problem) {
    return base::Error(base::ErrorCode::kUsage, problem).with_hint("try holdfastctl --help");
  };
  po::positional_options_description positional;
  positional.add("verb", -1);
  po::variables_map given;
  try {
    // No guessing of abbreviations: a script has to mean the same after an upgrade.
    const int style =
        po::command_line_style::default_style & ~po::command_line_style::allow_guessing;
    po::store(po::command_line_parser(argc, argv)
                  .options(known)
                  .positional(positional)
                  .style(style)
                  .run(),
              given);
  } catch (const po::error& problem) {
    return usage(base::printable(problem.what()));
  }
  CommandLine line;
  line.json = given.contains("json");
  line.help = given.contains("help");
  line.version = given.contains("version");
  line.socket =
      given.contains("socket") ? given["socket"].as<std::string>() : base::kDefaultControlSocket;
  if (line.help || line.version) return line;
  const auto words = given.contains("verb") ? given["verb"].as<std::vector<std::string>>()
                                            : std::vector<std::string>{};
  if (words.empty()) return usage("what is to be done?");
  if (words.size() > 1) return usage("unknown argument '" + base::printable(words[1], 64) + "'");
  const auto verb = base::verb_named(words.front());
  if (!verb) return usage("unknown verb '" + base::printable(words.front(), 64) + "'");
  line.verb = *verb;
  return line;
}

}  // namespace holdfast::ctl
