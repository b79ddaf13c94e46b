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

// What belongs to other commands and not to `name`; with "" to any.
std::vector<std::string> foreign_to(const std::string& name, const CompletedProgram& program) {
  std::vector<std::string> foreign;
  std::vector<std::string> own;
  for (const CompletedCommand& command : program.commands) {
    std::vector<std::string>& side = command.name == name ? own : foreign;
    side.insert(side.end(), command.options.begin(), command.options.end());
  }
  std::erase_if(foreign, [&](const std::string& option) {
    return std::find(own.begin(), own.end(), option) != own.end();
  });
  return foreign;
}

// The machines that have a file in the configuration's directory.
std::string machine_names(const std::string& directory) {
  return "    if [[ -n $command ]]; then\n"
         "      local directory=" +
         directory +
         " files\n"
         "      for ((i = 1; i < COMP_CWORD; i++)); do\n"
         "        [[ ${COMP_WORDS[i]} == --config-directory ]] || continue\n"
         "        directory=${COMP_WORDS[i + 1]}\n"
         "        [[ $directory != = ]] || directory=${COMP_WORDS[i + 2]}\n"
         "      done\n"
         "      mapfile -t files < <(compgen -G \"$directory/vms.d/*.conf\")\n"
         "      files=(\"${files[@]##*/}\")\n"
         "      words=${files[*]%.conf}\n"
         "    fi\n";
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

  std::string text =
      "# bash completion of " + program.name + "(" + std::to_string(program.section) +
      "), written from its table of options when it was built.\n\n_" + program.name + "() {\n";
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
            commands + "'\n";
    if (!program.names_in.empty()) text += machine_names(program.names_in);
    text += "  fi\n";
  }
  text +=
      "  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
      "  [[ ${COMPREPLY[*]} != *= ]] || compopt -o nospace\n"
      "}\ncomplete -F _" +
      program.name + " " + program.name + "\n";
  return text;
}

}  // namespace holdfast::completion
