// SPDX-License-Identifier: MIT
#include "ctl/options.h"

#include <algorithm>
#include <boost/program_options/errors.hpp>
#include <boost/program_options/options_description.hpp>
#include <boost/program_options/parsers.hpp>
#include <boost/program_options/positional_options.hpp>
#include <boost/program_options/variables_map.hpp>
#include <stdexcept>

#include "base/command_line.h"
#include "base/duration.h"
#include "base/text.h"
#include "ctl/prove.h"
#include "ctl/setup.h"

namespace holdfast::ctl {

namespace po = boost::program_options;

namespace {

constexpr std::int64_t kSecond = 1000;
constexpr std::int64_t kDay = kSecond * 3600 * 24;

base::Error usage(const std::string& problem) {
  return base::Error(base::ErrorCode::kUsage, problem).with_hint("try holdfastctl --help");
}

// The commands that this option belongs to; none: to all of them.
std::vector<CommandSpec> owners_of(const std::string& option) {
  std::vector<CommandSpec> owners = command_table();
  std::erase_if(owners, [&](const CommandSpec& spec) {
    return std::find(spec.options.begin(), spec.options.end(), option) == spec.options.end();
  });
  return owners;
}

std::string names_of(const std::vector<CommandSpec>& commands) {
  std::string names;
  for (const CommandSpec& command : commands)
    names += (names.empty() ? "" : ", ") + command.name;
  return names;
}

const base::OptionSpec& option_named(const base::OptionTable& table, const std::string& name) {
  return *std::find_if(table.begin(), table.end(),
                       [&](const base::OptionSpec& option) { return option.name == name; });
}

// The value of a duration, or its default.
base::Result<base::Millis> span_of(const po::variables_map& given, const std::string& name) {
  const base::OptionTable table = command_line_table();
  const base::OptionSpec& option = option_named(table, name);
  const std::string text =
      given.contains(name) ? given[name].as<std::string>() : *option.default_value;
  const auto span = base::parse_duration(text);
  if (!span || span->count() < option.least || span->count() > option.most) {
    return usage("--" + name + " takes a time from " +
                 base::format_duration(base::Millis(option.least)) + " to " +
                 base::format_duration(base::Millis(option.most)) + ", not '" +
                 base::printable(text, 40) + "'");
  }
  return *span;
}

}  // namespace

std::vector<CommandSpec> command_table() {
  using base::Verb;
  return {
      {Command::kStatus, "status", "the state of the service and of every resource", Verb::kStatus},
      {Command::kFreeze, "freeze",
       "hold everything, as the hook does; filesystems are not frozen by this", Verb::kFreeze},
      {Command::kThaw, "thaw", "verify and release everything", Verb::kThaw},
      {Command::kDrill, "drill", "hold and release everything, and say what it cost", Verb::kDrill},
      {Command::kCheck, "check", "prove now that every resource can be reached and may be held",
       Verb::kCheck},
      {Command::kReport, "report", "the last freeze records", Verb::kReport},
      {Command::kProve,
       "prove",
       "has every resource come up, whole, and where the last freeze found it?",
       std::nullopt,
       {"programs", "resources", "record", "wait", "timeout"}},
      {Command::kSetup,
       "setup",
       "find local servers, and make the accounts and resource files to hold them",
       std::nullopt,
       {"yes", "remove", "programs"}},
      {Command::kDoctor, "doctor", "will a freeze from the host really work here?", std::nullopt},
  };
}

const CommandSpec& spec_of(Command command) {
  static const std::vector<CommandSpec> kTable = command_table();
  for (const CommandSpec& spec : kTable) {
    if (spec.command == command) return spec;
  }
  throw std::logic_error("a command that is not in the table");
}

base::OptionTable command_line_table() {
  using base::OptionType;
  return {
      {.name = "json", .type = OptionType::kBool, .help = "print JSON instead of a table"},
      {.name = "socket",
       .type = OptionType::kPath,
       .default_value = base::kDefaultControlSocket,
       .help = "the control socket"},
      {.name = "yes", .type = OptionType::kBool, .help = "do what would else only be shown"},
      {.name = "remove",
       .type = OptionType::kBool,
       .help = "take back what was made, and nothing else"},
      {.name = "programs",
       .type = OptionType::kPath,
       .default_value = kSetupDirectory,
       .help = "where the plugins' programs are"},
      {.name = "resources",
       .type = OptionType::kPath,
       .default_value = kResourceFiles,
       .help = "where the resource files are"},
      {.name = "record",
       .type = OptionType::kPath,
       .default_value = kFreezeRecord,
       .help = "the freeze record to compare with"},
      {.name = "wait",
       .type = OptionType::kDuration,
       .default_value = "5min",
       .help = "how long a resource may take to come up",
       .least = 0,
       .most = kDay},
      {.name = "timeout",
       .type = OptionType::kDuration,
       .default_value = "30min",
       .help = "how long all of it may take",
       .least = kSecond,
       .most = kDay},
      {.name = "help", .type = OptionType::kBool, .help = "print this text, and end"},
      {.name = "version", .type = OptionType::kBool, .help = "print the version, and end"},
  };
}

std::string usage_text() {
  std::string text = "usage: holdfastctl [OPTION]... COMMAND\n\n";
  const auto row = [&](std::string left, const std::string& help) {
    left.resize(20, ' ');
    text += left + help + "\n";
  };
  for (const CommandSpec& spec : command_table())
    row("  " + spec.name, spec.help);
  text += "\n";
  for (const base::OptionSpec& option : command_line_table()) {
    const auto owners = owners_of(option.name);
    const bool span = option.type == base::OptionType::kDuration;
    row("  --" + option.name +
            (option.type == base::OptionType::kPath ? "=PATH" : (span ? "=TIME" : "")),
        (owners.empty() ? "" : names_of(owners) + ": ") + option.help +
            (option.default_value ? " (" + *option.default_value + ")" : ""));
  }
  return text;
}

base::Result<CommandLine> parse_command_line(int argc, const char* const* argv) {
  po::options_description known;
  known.add_options()("command", po::value<std::vector<std::string>>());
  for (const base::OptionSpec& option : command_line_table()) {
    if (option.type == base::OptionType::kBool) {
      known.add_options()(option.name.c_str(), option.help.c_str());
    } else {
      known.add_options()(option.name.c_str(), po::value<std::string>(), option.help.c_str());
    }
  }
  po::positional_options_description positional;
  positional.add("command", -1);
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
    return usage(base::complaint_about({argv, argv + argc}, problem));
  }
  CommandLine line;
  line.json = given.contains("json");
  line.help = given.contains("help");
  line.version = given.contains("version");
  line.socket =
      given.contains("socket") ? given["socket"].as<std::string>() : base::kDefaultControlSocket;
  line.yes = given.contains("yes");
  line.remove = given.contains("remove");
  line.programs = given.contains("programs") ? given["programs"].as<std::string>()
                                             : std::string(kSetupDirectory);
  line.resources = given.contains("resources") ? given["resources"].as<std::string>()
                                               : std::string(kResourceFiles);
  line.record =
      given.contains("record") ? given["record"].as<std::string>() : std::string(kFreezeRecord);
  for (const auto& [name, span] : {std::pair{"wait", &line.wait}, {"timeout", &line.timeout}}) {
    const auto value = span_of(given, name);
    if (!value) return value.error();
    *span = *value;
  }
  if (line.help || line.version) return line;
  const auto words = given.contains("command") ? given["command"].as<std::vector<std::string>>()
                                               : std::vector<std::string>{};
  if (words.empty()) return usage("what is to be done?");
  if (words.size() > 1) return usage("unknown argument '" + base::printable(words[1], 64) + "'");
  const auto table = command_table();
  const auto found = std::find_if(table.begin(), table.end(), [&](const CommandSpec& spec) {
    return spec.name == words.front();
  });
  if (found == table.end()) {
    return usage("unknown command '" + base::printable(words.front(), 64) + "'");
  }
  line.command = found->command;
  for (const base::OptionSpec& option : command_line_table()) {
    const auto owners = owners_of(option.name);
    if (owners.empty() || !given.contains(option.name)) continue;
    const bool its_own = std::any_of(owners.begin(), owners.end(), [&](const CommandSpec& owner) {
      return owner.command == line.command;
    });
    if (!its_own) return usage("--" + option.name + " belongs to '" + names_of(owners) + "'");
  }
  return line;
}

}  // namespace holdfast::ctl
