// SPDX-License-Identifier: MIT
#include "completion/bash_completion.h"

#include <algorithm>

namespace holdfast::completion {

namespace {

using base::OptionSpec;
using base::OptionType;

bool takes_value(const OptionSpec& option) {
  return option.type != OptionType::kBool;
}

// "--json --socket=": what bash offers for a word that begins with a dash.
std::string offered(const base::OptionTable& options) {
  std::string words;
  for (const OptionSpec& option : options)
    words += (words.empty() ? "--" : " --") + option.name + (takes_value(option) ? "=" : "");
  return words;
}

base::OptionTable without(base::OptionTable table, const std::vector<std::string>& names) {
  std::erase_if(table, [&](const OptionSpec& option) {
    return std::find(names.begin(), names.end(), option.name) != names.end();
  });
  return table;
}

// What belongs to other commands than `name`; with "" to any.
std::vector<std::string> foreign_to(const std::string& name, const CompletedProgram& program) {
  std::vector<std::string> foreign;
  for (const CompletedCommand& command : program.commands) {
    if (command.name == name) continue;
    foreign.insert(foreign.end(), command.options.begin(), command.options.end());
  }
  return foreign;
}

// `case` branches that complete a value.
std::string value_branches(const base::OptionTable& options) {
  std::string text;
  for (const OptionSpec& option : options) {
    if (option.type == OptionType::kPath) {
      text += "    --" + option.name +
              ")\n      compopt -o filenames\n"
              "      mapfile -t COMPREPLY < <(compgen -f -- \"$current\")\n      return ;;\n";
    } else if (option.type == OptionType::kChoice) {
      std::string words;
      for (const std::string& choice : option.choices)
        words += (words.empty() ? "" : " ") + choice;
      text += "    --" + option.name + ")\n      mapfile -t COMPREPLY < <(compgen -W '" + words +
              "' -- \"$current\")\n      return ;;\n";
    } else if (takes_value(option)) {
      text += "    --" + option.name + ") return ;;\n";
    }
  }
  return text;
}

}  // namespace

std::string bash_completion(const CompletedProgram& program) {
  std::string commands;
  for (const CompletedCommand& command : program.commands)
    commands += (commands.empty() ? "" : " ") + command.name;

  std::string text = "# bash completion of " + program.name +
                     "(8), written from its table of options when it was built.\n\n_" +
                     program.name + "() {\n";
  text +=
      "  local current=${COMP_WORDS[COMP_CWORD]} option= command= words= i\n"
      "  COMPREPLY=()\n"
      // '=' is a word of its own to bash, unless it has been taken out of COMP_WORDBREAKS.
      "  if [[ $current == --*=* ]]; then\n"
      "    option=${current%%=*} current=${current#*=}\n"
      "  elif [[ $current == = ]]; then\n"
      "    option=${COMP_WORDS[COMP_CWORD - 1]} current=\n"
      "  elif [[ $COMP_CWORD -gt 1 && ${COMP_WORDS[COMP_CWORD - 1]} == = ]]; then\n"
      "    option=${COMP_WORDS[COMP_CWORD - 2]}\n"
      "  elif [[ ${COMP_WORDS[COMP_CWORD - 1]} == --* ]]; then\n"
      "    option=${COMP_WORDS[COMP_CWORD - 1]}\n"
      "  fi\n"
      "  case $option in\n" +
      value_branches(program.options) + "  esac\n";
  if (!commands.empty()) {
    text += "  for ((i = 1; i < COMP_CWORD; i++)); do\n    case ${COMP_WORDS[i]} in\n      ";
    std::string alternatives = commands;
    std::replace(alternatives.begin(), alternatives.end(), ' ', '|');
    text += alternatives + ") command=${COMP_WORDS[i]} ;;\n    esac\n  done\n";
  }
  text += "  case $command in\n";
  for (const CompletedCommand& command : program.commands) {
    if (command.options.empty()) continue;
    text += "    " + command.name + ") words='" +
            offered(without(program.options, foreign_to(command.name, program))) + "' ;;\n";
  }
  text += "    *) words='" + offered(without(program.options, foreign_to("", program))) +
          "' ;;\n  esac\n";
  if (!commands.empty()) {
    text += "  if [[ $current != -* ]]; then\n    words=\n    [[ -n $command ]] || words='" +
            commands + "'\n  fi\n";
  }
  text +=
      "  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
      "  [[ ${COMPREPLY[*]} != *= ]] || compopt -o nospace\n"
      "}\ncomplete -F _" +
      program.name + " " + program.name + "\n";
  return text;
}

}  // namespace holdfast::completion
