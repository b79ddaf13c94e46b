// SPDX-License-Identifier: MIT
#include "doctor/guest_agent.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "base/text.h"

namespace holdfast::doctor {

namespace {

constexpr const char* kDefaultConfig = "/etc/qemu/qemu-ga.conf";

struct Flag {
  char letter;
  std::string_view name;
  enum class Value { kNone, kRequired, kOptional } value;
};

// qemu-ga's own options that take a value or matter here, of all versions.
constexpr std::array kFlags{Flag{'c', "config", Flag::Value::kRequired},
                            Flag{'F', "fsfreeze-hook", Flag::Value::kOptional},
                            Flag{'b', "block-rpcs", Flag::Value::kRequired},
                            Flag{'b', "blacklist", Flag::Value::kRequired},
                            Flag{'a', "allow-rpcs", Flag::Value::kRequired},
                            Flag{'m', "method", Flag::Value::kRequired},
                            Flag{'p', "path", Flag::Value::kRequired},
                            Flag{'l', "logfile", Flag::Value::kRequired},
                            Flag{'f', "pidfile", Flag::Value::kRequired},
                            Flag{'t', "statedir", Flag::Value::kRequired},
                            Flag{'s', "service", Flag::Value::kRequired},
                            Flag{'d', "daemonize", Flag::Value::kNone},
                            Flag{'v', "verbose", Flag::Value::kNone},
                            Flag{'D', "dump-conf", Flag::Value::kNone},
                            Flag{'r', "retry-path", Flag::Value::kNone}};

struct Given {
  std::string name;
  std::string value;
};

// As getopt_long() reads it.
std::vector<Given> options_in(const std::vector<std::string>& arguments) {
  std::vector<Given> given;
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    const std::string& word = arguments[i];
    const auto take = [&](const Flag& flag, std::optional<std::string> value) {
      if (flag.value == Flag::Value::kRequired && !value && i + 1 < arguments.size()) {
        value = arguments[++i];
      }
      given.push_back({std::string(flag.name), value.value_or("")});
    };
    if (word == "--") break;
    if (word.starts_with("--")) {
      const std::size_t equals = word.find('=');
      const std::string name = word.substr(2, equals == std::string::npos ? equals : equals - 2);
      const auto flag = std::find_if(kFlags.begin(), kFlags.end(),
                                     [&](const Flag& known) { return known.name == name; });
      if (flag == kFlags.end()) continue;
      take(*flag, equals == std::string::npos
                      ? std::nullopt
                      : std::optional<std::string>(word.substr(equals + 1)));
      continue;
    }
    if (!word.starts_with('-')) continue;
    for (std::size_t at = 1; at < word.size(); ++at) {
      const auto flag = std::find_if(kFlags.begin(), kFlags.end(),
                                     [&](const Flag& known) { return known.letter == word[at]; });
      if (flag == kFlags.end()) break;
      if (flag->value == Flag::Value::kNone) continue;
      const std::string rest = word.substr(at + 1);
      take(*flag, rest.empty() ? std::nullopt : std::optional<std::string>(rest));
      break;
    }
  }
  return given;
}

void add_list(std::vector<std::string>& list, std::string_view text) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of(",;"), text.size());
    const std::string_view word = base::trimmed(text.substr(0, end));
    if (!word.empty()) list.emplace_back(word);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

void apply(GuestAgent& agent, const Given& given, const std::string& origin) {
  if (given.name == "fsfreeze-hook") {
    agent.hook = given.value.empty() ? kDefaultHook : given.value;
    agent.hook_origin = origin;
  } else if (given.name == "block-rpcs" || given.name == "blacklist") {
    add_list(agent.blocked, given.value);
  } else if (given.name == "allow-rpcs") {
    add_list(agent.allowed, given.value);
  } else if (given.name == "method") {
    agent.method = given.value;
  } else if (given.name == "path") {
    agent.port = given.value;
  } else if (given.name == "statedir") {
    agent.state_directory = given.value;
    agent.state_directory_origin = origin;
  }
}

// The group [general] of a key file (GLib's).
void apply_file(GuestAgent& agent, std::string_view text) {
  bool general = false;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = base::trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.front() == '#') continue;
    if (line.front() == '[') {
      general = line == "[general]";
      continue;
    }
    const std::size_t equals = line.find('=');
    if (!general || equals == std::string_view::npos) continue;
    apply(agent,
          {std::string(base::trimmed(line.substr(0, equals))),
           std::string(base::trimmed(line.substr(equals + 1)))},
          agent.config_path);
  }
}

bool contains(const std::vector<std::string>& list, const std::string& word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

}  // namespace

GuestAgent guest_agent_of(const World& world) {
  GuestAgent agent;
  agent.process = world.process_named("qemu-ga");
  std::vector<Given> given;
  if (agent.process) given = options_in(agent.process->arguments);
  agent.config_path = kDefaultConfig;
  for (const Given& option : given) {
    if (option.name == "config") agent.config_path = option.value;
  }
  if (const auto text = world.read(agent.config_path)) apply_file(agent, *text);
  for (const Given& option : given)
    apply(agent, option, "the command line");
  return agent;
}

bool is_permitted(const GuestAgent& agent, const std::string& command) {
  if (!agent.allowed.empty() && !contains(agent.allowed, command)) return false;
  return !contains(agent.blocked, command);
}

}  // namespace holdfast::doctor
