// SPDX-License-Identifier: MIT
#include "command/invocation.h"

#include <algorithm>
#include <array>
#include <boost/program_options.hpp>
#include <filesystem>
#include <sstream>

#include "base/command_line.h"
#include "base/text.h"
#include "config/options.h"
#include "config/settings.h"

namespace holdfast::host::command {

namespace po = boost::program_options;

using base::Error;
using base::ErrorCode;
using base::OptionSpec;
using base::OptionTable;
using base::OptionType;
using base::Result;

namespace {

struct Verb {
  std::string_view name;
  std::string_view arguments;
  std::string_view help;
  std::size_t least;
  std::size_t most;
};

constexpr std::size_t kMany = 1000;
constexpr std::array<Verb, 15> kVerbs{{
    {"backup", "VM...|--all|--group=NAME", "freeze, snapshot, thaw, copy, publish", 0, kMany},
    {"list", "[VM...]", "the backups of these machines, or of all", 0, kMany},
    {"show", "VM [ID]", "one backup: level, evidence, window, disks", 1, 2},
    {"verify", "VM [ID...]|--boot VM [ID...]|--boot --schedule",
     "check images and checksums, or what comes up of them", 0, kMany},
    {"restore", "VM ID --to DIR|--group=ID --to DIR", "write fresh images", 0, 2},
    {"export", "VM ID", "serve it read-only over NBD, for single files", 2, 2},
    {"prune", "VM...", "remove the backups that no keep- rule keeps", 1, kMany},
    {"protect", "VM ID", "keep this backup whatever the rules say", 2, 2},
    {"unprotect", "VM ID", "leave it to the rules again", 2, 2},
    {"snapshot", "ACTION VM [POINT]",
     "create, list, revert, delete, prune, flatten, extract restore points", 2, kMany},
    {"status", "VM...", "what QEMU, the agent and the journal say", 1, kMany},
    {"doctor", "VM...", "will the next backup work? freezes nothing", 1, kMany},
    {"freeze", "VM", "freeze by hand; thaw again yourself", 1, 1},
    {"thaw", "VM", "thaw, whoever froze", 1, 1},
    {"recover", "VM...", "finish or undo an interrupted run", 1, kMany},
}};

// Relative paths are fine on a command line, but not further in.
std::string absolute(const std::string& path) {
  std::error_code problem;
  const auto full = std::filesystem::absolute(path, problem);
  return problem || path.empty() ? path : full.lexically_normal().string();
}

po::options_description own_options(Invocation& invocation) {
  po::options_description options("Options");
  auto add = options.add_options();
  add("help,h", "show this and end");
  add("version", "show the version and end");
  add("json", po::bool_switch(&invocation.json), "print data as JSON");
  add("quiet,q", po::bool_switch(&invocation.quiet), "print errors alone");
  add("config-directory",
      po::value(&invocation.config_directory)->default_value(config::kConfigDirectory),
      "where host.conf and vms.d stand");
  add("print-config", po::bool_switch(&invocation.print_config),
      "show the effective settings and end");
  add("keep-failed", po::bool_switch(&invocation.keep_failed),
      "backup: keep what is below the required level, as ID.failed");
  add("full", po::bool_switch(&invocation.full), "backup: copy all of each disk");
  add("new-repository", po::bool_switch(&invocation.new_repository),
      "backup: make one even where backups have been before");
  add("all", po::bool_switch(&invocation.all), "backup: every enabled machine of vms.d");
  add("group", po::value(&invocation.group), "backup, restore: this consistency group");
  add("jobs,j", po::value<std::string>(), "backup: the key 'parallel' under another name");
  add("report-fd", po::value<int>(),
      "backup: write events as JSON lines to this descriptor, and nothing else");
  add("dry-run", po::bool_switch(&invocation.dry_run), "prune, snapshot: show what would be done");
  add("boot", po::bool_switch(&invocation.boot),
      "verify: start it in a throwaway machine, and ask its databases");
  add("schedule", po::bool_switch(&invocation.schedule),
      "verify: with --boot, the latest backup that waits longest for it");
  add("to", po::value(&invocation.to), "restore, snapshot: the directory of the new images");
  add("into-running", po::bool_switch(&invocation.into_running),
      "restore: put files of a container back into it while it runs");
  add("path", po::value(&invocation.paths),
      "restore: with --into-running, this file or directory alone; may be repeated");
  add("disk", po::value(&invocation.disks),
      "restore, export, snapshot: this disk alone; may be repeated");
  add("format", po::value(&invocation.format)->default_value("qcow2"),
      "restore, snapshot: qcow2 or raw");
  add("resume", po::bool_switch(&invocation.resume),
      "restore, snapshot: continue the machine where its memory was kept");
  add("label", po::value(&invocation.label), "snapshot: a line to know the restore point by");
  add("with-memory", po::bool_switch(&invocation.with_memory),
      "snapshot: create a restore point of disks and memory");
  add("discard", po::bool_switch(&invocation.discard),
      "snapshot: revert without keeping what is there");
  add("foreign", po::bool_switch(&invocation.foreign),
      "snapshot: delete what was not made by holdfast");
  return options;
}

po::options_description setting_options() {
  po::options_description options("Settings (as in host.conf)");
  for (const OptionSpec& spec : config::all_options()) {
    // What a machine's file says of itself, the command line says of what is to be done.
    if (spec.name == "group") continue;
    const std::string help =
        spec.help + (spec.default_value ? " [" + *spec.default_value + "]" : "");
    options.add_options()(spec.name.c_str(), po::value<std::string>(), help.c_str());
  }
  return options;
}

// "restore, export: this disk alone" is for two verbs, a help text without a verb for all of them.
std::vector<std::string> verbs_in(const std::string& help) {
  std::vector<std::string> verbs;
  const std::size_t colon = help.find(':');
  if (colon == std::string::npos) return verbs;
  std::istringstream names(help.substr(0, colon));
  for (std::string name; std::getline(names >> std::ws, name, ',');) {
    const bool known = std::any_of(kVerbs.begin(), kVerbs.end(),
                                   [&](const Verb& verb) { return verb.name == name; });
    if (!known) return {};
    verbs.push_back(name);
  }
  return verbs;
}

// A bare "--trim" is "--trim yes"; any other word behind it is another word.
std::vector<std::string> with_trim_said(const std::vector<std::string>& words) {
  const OptionTable table = config::all_options();
  const auto spec = std::find_if(table.begin(), table.end(), [](const OptionSpec& candidate) {
    return candidate.name == "trim";
  });
  std::vector<std::string> said;
  for (auto word = words.begin(); word != words.end(); ++word) {
    if (*word == "--") {
      said.insert(said.end(), word, words.end());
      break;
    }
    said.push_back(*word);
    if (*word != "--trim") continue;
    const auto next = word + 1;
    const bool has_value =
        next != words.end() &&
        std::find(spec->choices.begin(), spec->choices.end(), *next) != spec->choices.end();
    if (!has_value) said.emplace_back("yes");
  }
  return said;
}

Error usage(const std::string& problem) {
  return Error(ErrorCode::kUsage, problem).with_hint("holdfast --help");
}

Result<void> check_backup(const Invocation& invocation) {
  const std::size_t count = invocation.arguments.size();
  const int ways =
      (invocation.all ? 1 : 0) + (count > 0 ? 1 : 0) + (invocation.group.empty() ? 0 : 1);
  if (ways != 1) return usage("usage: holdfast backup VM... | --all | --group=NAME");
  if (invocation.report_fd && (*invocation.report_fd < 3 || count != 1)) {
    return usage("--report-fd takes a descriptor from 3 on, and one machine");
  }
  if (invocation.keep_failed && !invocation.group.empty()) {
    return usage("--keep-failed is not for a group, of which all is kept or nothing");
  }
  if (count == 1) return {};
  for (const base::Setting& setting : invocation.overrides) {
    if (setting.key == "qmp" || setting.key == "agent" || setting.key == "domain" ||
        setting.key == "tpm-state" || setting.key == "container") {
      return usage("--" + setting.key + " is for one machine");
    }
  }
  return {};
}

Result<void> check_arguments(const Invocation& invocation) {
  const auto verb = std::find_if(kVerbs.begin(), kVerbs.end(), [&](const Verb& candidate) {
    return candidate.name == invocation.verb;
  });
  if (verb == kVerbs.end()) {
    return usage("unknown command '" + base::printable(invocation.verb, 64) + "'");
  }
  const std::size_t count = invocation.arguments.size();
  // An empty one would stand for all machines further in.
  const bool empty = std::find(invocation.arguments.begin(), invocation.arguments.end(), "") !=
                     invocation.arguments.end();
  if (count < verb->least || count > verb->most || empty) {
    return usage("usage: holdfast " + invocation.verb + " " + std::string(verb->arguments));
  }
  if (invocation.verb != "snapshot" && (!invocation.label.empty() || invocation.discard ||
                                        invocation.foreign || invocation.with_memory)) {
    return usage("--label, --with-memory, --discard and --foreign are for 'snapshot'");
  }
  if (invocation.verb != "verify" && (invocation.boot || invocation.schedule)) {
    return usage("--boot and --schedule are for 'verify'");
  }
  if (!invocation.paths.empty() && !invocation.into_running) {
    return usage("--path goes with --into-running");
  }
  if (invocation.into_running && (invocation.verb != "restore" || !invocation.group.empty() ||
                                  !invocation.to.empty() || !invocation.disks.empty())) {
    return usage("--into-running is for 'restore' of one container, without --to and --disk");
  }
  if (invocation.resume && invocation.verb != "snapshot" &&
      (invocation.verb != "restore" || !invocation.group.empty() || invocation.into_running)) {
    return usage("--resume is for 'restore' of one machine, and 'snapshot revert'");
  }
  if (invocation.verb == "backup" && !invocation.print_config) return check_backup(invocation);
  const bool scheduled = invocation.boot && invocation.schedule;
  if (invocation.verb == "verify" && (count == 0) != scheduled && !invocation.print_config) {
    return usage("usage: holdfast verify " + std::string(verb->arguments));
  }
  if (invocation.schedule && !invocation.boot) return usage("--schedule is for 'verify --boot'");
  const bool for_backup =
      invocation.all || invocation.full || invocation.new_repository || invocation.report_fd;
  if (invocation.verb != "backup" && for_backup) {
    return usage("--all, --full, --new-repository and --report-fd are for 'backup'");
  }
  const bool of_group = !invocation.group.empty();
  if (of_group && invocation.verb != "restore" && invocation.verb != "backup") {
    return usage("--group is for 'backup' and 'restore'");
  }
  if (invocation.verb == "restore" && count != (of_group ? 0 : 2)) {
    return usage("usage: holdfast restore " + std::string(verb->arguments));
  }
  if (of_group && !invocation.disks.empty()) return usage("--disk is for one machine");
  if (invocation.resume && !invocation.disks.empty()) {
    return usage("--resume wants all disks, and --disk names some");
  }
  if (invocation.verb == "restore" && invocation.to.empty() && !invocation.into_running) {
    return usage("restore needs --to DIR, or of a container --into-running");
  }
  if (invocation.format != "qcow2" && invocation.format != "raw") {
    return usage("--format is qcow2 or raw");
  }
  return {};
}

}  // namespace

Result<Invocation> parse_command_line(const std::vector<std::string>& words) {
  Invocation invocation;
  const po::options_description settings = setting_options();
  po::options_description all;
  all.add(own_options(invocation)).add(settings);
  all.add_options()("positional", po::value<std::vector<std::string>>());
  po::positional_options_description positional;
  positional.add("positional", -1);

  po::variables_map values;
  try {
    po::store(
        po::command_line_parser(with_trim_said(words))
            .options(all)
            .positional(positional)
            .style(po::command_line_style::unix_style & ~po::command_line_style::allow_guessing)
            .run(),
        values);
    po::notify(values);
  } catch (const po::error& problem) {
    return usage(base::complaint_about(words, problem));
  }
  if (values.contains("help")) invocation.verb = "help";
  if (values.contains("version")) invocation.verb = "version";
  if (!invocation.verb.empty()) return invocation;
  if (!values.contains("positional")) return usage("a command is missing");

  invocation.arguments = values["positional"].as<std::vector<std::string>>();
  invocation.verb = invocation.arguments.front();
  invocation.arguments.erase(invocation.arguments.begin());
  invocation.config_directory = absolute(invocation.config_directory);
  invocation.to = absolute(invocation.to);
  for (const OptionSpec& spec : config::all_options()) {
    if (!values.contains(spec.name) || spec.name == "group") continue;
    std::string value = values[spec.name].as<std::string>();
    if (spec.type == OptionType::kPath) value = absolute(value);
    invocation.overrides.push_back({spec.name, std::move(value), "--" + spec.name});
  }
  if (invocation.resume && !values["format"].defaulted()) {
    return usage("--format is not for --resume: the images are as the machine had them");
  }
  if (values.contains("group") && invocation.group.empty()) return usage("--group needs a name");
  if (values.contains("jobs")) {
    invocation.overrides.push_back({"parallel", values["jobs"].as<std::string>(), "--jobs"});
  }
  if (values.contains("report-fd")) invocation.report_fd = values["report-fd"].as<int>();
  if (auto right = check_arguments(invocation); !right) return std::move(right).error();
  return invocation;
}

std::string help_text() {
  Invocation unused;
  std::ostringstream text;
  text << "holdfast: application-consistent backups of running virtual machines\n\nCommands\n";
  for (const Verb& verb : kVerbs) {
    std::string line = "  " + std::string(verb.name) + " " + std::string(verb.arguments);
    line.resize(std::max<std::size_t>(line.size() + 1, 28), ' ');
    text << line << verb.help << "\n";
  }
  text << "\n" << own_options(unused) << "\n" << setting_options();
  text << "\nExit status: 0 done, 1 failed, 2 usage or configuration, 3 done below the preferred "
          "level,\n4 another run is at work. See holdfast(1).\n";
  return text.str();
}

std::vector<std::string> verb_names() {
  std::vector<std::string> names;
  names.reserve(std::size(kVerbs));
  for (const Verb& verb : kVerbs)
    names.emplace_back(verb.name);
  return names;
}

std::vector<std::string> own_option_names() {
  Invocation unused;
  std::vector<std::string> names;
  const po::options_description options = own_options(unused);
  for (const auto& option : options.options())
    names.push_back(option->long_name());
  return names;
}

std::vector<OwnOption> own_options_table() {
  Invocation unused;
  std::vector<OwnOption> table;
  const po::options_description options = own_options(unused);
  for (const auto& option : options.options()) {
    const bool is_switch = option->semantic()->max_tokens() == 0;
    base::OptionSpec spec{.name = option->long_name(),
                          .type = is_switch ? OptionType::kBool : OptionType::kText,
                          .help = option->description()};
    if (spec.name == "to" || spec.name == "config-directory") spec.type = OptionType::kPath;
    if (spec.name == "format") {
      spec.type = OptionType::kChoice;
      spec.choices = {"qcow2", "raw"};
    }
    table.push_back({spec, verbs_in(spec.help)});
  }
  return table;
}

}  // namespace holdfast::host::command
