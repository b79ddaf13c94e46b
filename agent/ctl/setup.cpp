// SPDX-License-Identifier: MIT
#include "ctl/setup.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <utility>

#include "base/text.h"

namespace holdfast::ctl {

namespace {

using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;

constexpr std::string_view kBefore = "holdfast-";
constexpr std::string_view kAfter = "-setup";
constexpr std::size_t kOutputLimit = std::size_t{1} << 20U;

struct Program {
  std::string plugin;
  std::string path;
};

std::vector<Program> programs_in(const std::string& directory) {
  std::vector<Program> programs;
  std::error_code problem;
  for (const auto& entry : std::filesystem::directory_iterator(directory, problem)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kBefore) || !name.ends_with(kAfter) ||
        name.size() <= kBefore.size() + kAfter.size()) {
      continue;
    }
    programs.push_back(
        {name.substr(kBefore.size(), name.size() - kBefore.size() - kAfter.size()), entry.path()});
  }
  std::sort(programs.begin(), programs.end(),
            [](const Program& a, const Program& b) { return a.plugin < b.plugin; });
  return programs;
}

// Each line one object.
Result<std::vector<Json>> parse_lines(std::string_view text) {
  std::vector<Json> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty()) continue;
    auto json = base::parse_json(line, {kOutputLimit, 4});
    if (!json) return std::move(json).error();
    if (!json->is_object()) return Error(ErrorCode::kProtocol, "a line is not an object");
    lines.push_back(std::move(*json));
  }
  return lines;
}

struct Said {
  std::vector<Json> lines;
  std::string problem;
};

Said ask(base::ProcessRunner& processes, const Program& program, std::vector<std::string> words) {
  words.insert(words.begin(), program.path);
  const auto outcome = processes.run({.argv = std::move(words),
                                      .deadline = base::Deadline::in(kSetupLimit),
                                      .output_limit = kOutputLimit});
  Said said;
  if (!outcome.succeeded()) said.problem = outcome.as_error(program.path).text();
  auto lines = parse_lines(outcome.output);
  if (lines) {
    said.lines = std::move(*lines);
  } else if (said.problem.empty()) {
    said.problem = "unable to read what '" + program.path + "' says: " + lines.error().text();
  }
  return said;
}

std::string word(const Json& object, const char* key) {
  return base::string_member(object, key).value_or("");
}

std::vector<std::string> arguments_of(const Json& server) {
  std::vector<std::string> arguments;
  if (const auto list = base::array_member(server, "arguments"); list) {
    for (const Json& argument : **list) {
      if (argument.is_string()) arguments.push_back(argument.get<std::string>());
    }
  }
  return arguments;
}

std::string title_of(const SetupServer& server) {
  std::string title = server.plugin;
  if (!server.name.empty() && server.name != server.plugin) title += " '" + server.name + "'";
  return server.what.empty() ? title : title + ": " + server.what;
}

std::string step_text(const SetupStep& step, bool done) {
  if (step.kind == "note") return "  " + base::printable(step.text) + "\n";
  const bool file = step.kind == "file";
  const bool removal = step.kind == "remove";
  std::string text = done ? "  " : "  would ";
  if (file) {
    text += done ? "wrote " : "write ";
  } else if (removal) {
    text += done ? "removed " : "remove ";
  } else {
    text += done ? "ran " : "run ";
  }
  text += base::printable(step.text, 2000) + (file || removal ? "\n" : ";\n");
  std::string_view rest(step.content);
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    text += "    | " + base::printable(rest.substr(0, end)) + "\n";
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return text;
}

}  // namespace

bool SetupServer::has_work() const {
  return std::any_of(steps.begin(), steps.end(),
                     [](const SetupStep& step) { return step.kind != "note"; });
}

int SetupOutcome::exit_status() const {
  const bool failed = std::any_of(servers.begin(), servers.end(), [](const SetupServer& server) {
    return !server.problem.empty();
  });
  return programs == 0 || failed ? 1 : 0;
}

SetupOutcome run_setup(base::ProcessRunner& processes, const SetupWish& wish) {
  SetupOutcome outcome;
  for (const Program& program : programs_in(wish.directory)) {
    ++outcome.programs;
    std::vector<std::string> words{"detect"};
    if (wish.remove) words.emplace_back("--remove");
    const Said found = ask(processes, program, words);
    if (!found.problem.empty()) {
      outcome.servers.push_back({program.plugin, {}, {}, {}, found.problem});
    }
    for (const Json& line : found.lines) {
      SetupServer server{program.plugin, word(line, "name"), word(line, "what"), {}, {}};
      words = {wish.yes ? "apply" : "plan"};
      if (wish.remove) words.emplace_back("--remove");
      for (std::string& argument : arguments_of(line))
        words.push_back(std::move(argument));
      Said said = ask(processes, program, words);
      for (const Json& step : said.lines)
        server.steps.push_back({word(step, "step"), word(step, "text"), word(step, "content")});
      server.problem = std::move(said.problem);
      outcome.servers.push_back(std::move(server));
    }
  }
  return outcome;
}

std::string setup_text(const SetupOutcome& outcome, const SetupWish& wish) {
  if (outcome.programs == 0) {
    return "no plugin's setup program is in '" + wish.directory + "': install the plugins first\n";
  }
  if (outcome.servers.empty()) {
    return wish.remove ? "nothing was made here by 'holdfastctl setup'\n"
                       : "no server was found that a plugin could hold\n";
  }
  std::string text;
  bool work = false;
  for (const SetupServer& server : outcome.servers) {
    text += base::printable(title_of(server)) + "\n";
    for (const SetupStep& step : server.steps)
      text += step_text(step, wish.yes);
    if (!server.problem.empty()) {
      text += "  " + base::printable(server.problem) + "\n";
    } else if (!server.has_work()) {
      text += "  nothing to do\n";
    }
    work = work || server.has_work();
  }
  if (!work) return text;
  return text + (wish.yes ? "to use it: systemctl restart holdfastd\n"
                          : "nothing has been done: add --yes to do it\n");
}

Json setup_json(const SetupOutcome& outcome, const SetupWish& wish) {
  Json servers = Json::array();
  for (const SetupServer& server : outcome.servers) {
    Json steps = Json::array();
    for (const SetupStep& step : server.steps) {
      Json json{{"step", step.kind}, {"text", step.text}};
      if (!step.content.empty()) json["content"] = step.content;
      steps.push_back(std::move(json));
    }
    servers.push_back({{"plugin", server.plugin},
                       {"name", server.name},
                       {"what", server.what},
                       {"steps", std::move(steps)},
                       {"problem", server.problem}});
  }
  return {{"done", wish.yes}, {"servers", std::move(servers)}, {"status", outcome.exit_status()}};
}

}  // namespace holdfast::ctl
