// SPDX-License-Identifier: MIT
#include "ctl/prove.h"

#include <unistd.h>

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "base/file.h"
#include "base/look_until.h"
#include "base/text.h"
#include "ctl/json_text.h"

namespace holdfast::ctl {

namespace {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;
using namespace std::chrono_literals;

constexpr int kSchema = 1;
constexpr std::size_t kRecordLimit = std::size_t{4} << 20U;
constexpr std::size_t kOutputLimit = std::size_t{1} << 20U;
// Nothing announces that a server has come up.
constexpr base::Millis kPause = 1s;

std::string word(const Json& object, const char* key) {
  return base::string_member(object, key).value_or("");
}

// Of a window: its kind must be that of a freeze.
Json read_record(const std::string& path) {
  auto text = base::read_file(path, kRecordLimit);
  if (!text) return nullptr;
  auto record = base::parse_json(*text, {kRecordLimit, 32});
  if (!record || !record->is_object() || word(*record, "window").empty()) return nullptr;
  return std::move(*record);
}

Json recorded_position(const Json& record, const std::string& resource) {
  const Json& resources = member(record, "resources");
  if (!resources.is_array()) return Json::object();
  for (const Json& one : resources) {
    if (word(one, "name") != resource) continue;
    const Json& position = member(one, "position");
    return position.is_object() ? position : Json::object();
  }
  return Json::object();
}

bool is_up(const Json& resource) {
  const std::string state = word(resource, "state");
  return state == "ready" || state == "held";
}

// Until every required resource is up, or the time is over; what was said last.
Result<Reply> await(const AskDaemon& daemon, Deadline deadline) {
  std::optional<Result<Reply>> reply;
  (void)base::look_until(deadline, kPause, [&] {
    reply = daemon();
    return *reply && (*reply)->line.status == 0;
  });
  return std::move(*reply);
}

std::string_view name_of(Answer::Verdict verdict) {
  switch (verdict) {
    case Answer::Verdict::kOk:
      return "ok";
    case Answer::Verdict::kBad:
      return "bad";
    case Answer::Verdict::kNone:
      return "none";
  }
  return "unknown";  // uncovered: every value has its case
}

Result<void> take_line(std::string_view line, ProvenResource& proven) {
  auto json = base::parse_json(line, {kOutputLimit, 4});
  if (!json) return std::move(json).error();
  const std::string check = word(*json, "check");
  const std::string verdict = word(*json, "verdict");
  Answer* const answer = check == "up"         ? &proven.up
                         : check == "sound"    ? &proven.sound
                         : check == "position" ? &proven.position
                                               : nullptr;
  if (answer == nullptr) return Error(ErrorCode::kProtocol, "an answer to nothing that was asked");
  if (verdict == "ok") {
    answer->verdict = Answer::Verdict::kOk;
  } else if (verdict == "bad") {
    answer->verdict = Answer::Verdict::kBad;
  } else if (verdict == "none") {
    answer->verdict = Answer::Verdict::kNone;
  } else {
    return Error(ErrorCode::kProtocol, "a verdict that is none");
  }
  answer->text = base::printable(word(*json, "text"), 600);
  return {};
}

Result<void> take_lines(std::string_view text, ProvenResource& proven) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty()) continue;
    if (auto taken = take_line(line, proven); !taken) return taken;
  }
  return {};
}

// "mysql:main" stands in main.conf.
std::string file_of(const ProveWish& wish, const std::string& resource) {
  return wish.resources + "/" + resource.substr(resource.find(':') + 1) + ".conf";
}

// A server that is up and whose check has no answer is not proven.
void run_program(base::ProcessRunner& processes, const std::string& program, const ProveWish& wish,
                 Deadline deadline, ProvenResource& proven) {
  std::vector<std::string> words{program, "--config=" + file_of(wish, proven.name)};
  for (const auto& [key, value] : proven.recorded.items()) {
    if (value.is_string()) words.push_back("--recorded=" + key + "=" + value.get<std::string>());
  }
  const auto outcome =
      processes.run({.argv = std::move(words), .deadline = deadline, .output_limit = kOutputLimit});
  const auto taken = take_lines(outcome.output, proven);
  if (proven.up.verdict == Answer::Verdict::kBad) return;
  if (!taken) {
    proven.sound = {Answer::Verdict::kBad,
                    "unable to read what '" + program + "' says: " + taken.error().text()};
  } else if (!outcome.succeeded()) {
    proven.sound = {Answer::Verdict::kBad, base::printable(outcome.as_error(program).text())};
  } else if (proven.sound.verdict == Answer::Verdict::kNone) {
    proven.sound = {Answer::Verdict::kBad, "'" + program + "' says nothing of it"};
  } else if (proven.position.text.empty()) {
    proven.position = {Answer::Verdict::kBad, "'" + program + "' says nothing of it"};
  }
}

ProvenResource prove_one(base::ProcessRunner& processes, const Json& resource, const Json& record,
                         const ProveWish& wish, Deadline deadline) {
  ProvenResource proven;
  proven.name = word(resource, "name");
  proven.plugin = word(resource, "plugin");
  proven.engine = base::printable(word(resource, "engine"), 80);
  proven.version = base::printable(word(resource, "version"), 80);
  proven.required = base::bool_member(resource, "required").value_or(true);
  proven.recorded = recorded_position(record, proven.name);
  if (!is_up(resource)) {
    proven.up = {Answer::Verdict::kBad, base::printable(word(resource, "text"), 600)};
    return proven;
  }
  proven.up = {Answer::Verdict::kOk, "holdfastd reaches it"};
  const std::string program = wish.programs + "/holdfast-" + proven.plugin + "-prove";
  if (!base::is_plain_name(proven.plugin) || ::access(program.c_str(), X_OK) != 0) {
    proven.sound.text = "the plugin '" + base::printable(proven.plugin, 80) + "' has no check";
    return proven;
  }
  run_program(processes, program, wish, deadline, proven);
  return proven;
}

}  // namespace

std::string ProvenResource::problem() const {
  const auto said = [](const char* what, const Answer& answer) {
    return what + (answer.text.empty() ? "no reason given" : answer.text);
  };
  if (up.verdict == Answer::Verdict::kBad) return said("not up: ", up);
  if (sound.verdict == Answer::Verdict::kBad) return said("not sound: ", sound);
  if (position.verdict == Answer::Verdict::kBad) return said("before its backup: ", position);
  return {};
}

int Proof::exit_status() const {
  if (!problem.empty()) return 1;
  return std::any_of(resources.begin(), resources.end(),
                     [](const ProvenResource& resource) {
                       return resource.required && !resource.problem().empty();
                     })
             ? 1
             : 0;
}

Proof prove(base::ProcessRunner& processes, const AskDaemon& daemon, const ProveWish& wish) {
  const Deadline deadline = Deadline::in(wish.timeout);
  Proof proof;
  proof.record = read_record(wish.record);
  const auto reply = await(daemon, Deadline::in(std::min(wish.wait, wish.timeout)));
  if (!reply) {
    proof.problem = reply.error().one_line();
    return proof;
  }
  const Json& resources = member(reply->document, "resources");
  if (!resources.is_array()) {
    proof.problem = "holdfastd does not say which resources it has: " + reply->line.text;
    return proof;
  }
  for (const Json& resource : resources)
    proof.resources.push_back(prove_one(processes, resource, proof.record, wish, deadline));
  return proof;
}

std::string proof_text(const Proof& proof) {
  std::string text = proof.record.is_object()
                         ? "recorded: window " + text_of(proof.record, "window") + ", " +
                               text_of(member(proof.record, "begin"), "wall") + "\n"
                         : "recorded: no freeze\n";
  if (proof.resources.empty() && proof.problem.empty()) {
    return text + "no resources are configured\n";
  }
  for (const ProvenResource& resource : proof.resources) {
    text += base::printable(resource.name) + ": " +
            (resource.problem().empty() ? "proven" : "NOT PROVEN") + "\n";
    for (const auto& [what, answer] : {std::pair{"up", &resource.up},
                                       {"sound", &resource.sound},
                                       {"position", &resource.position}}) {
      if (answer->text.empty()) continue;
      text += "  " + std::string(what) + ": " +
              (answer->verdict == Answer::Verdict::kBad ? "NO: " : "") + answer->text + "\n";
    }
  }
  return text;
}

Json proof_json(const Proof& proof) {
  Json resources = Json::array();
  for (const ProvenResource& resource : proof.resources) {
    Json json{{"name", base::printable(resource.name)},
              {"plugin", base::printable(resource.plugin)},
              {"engine", resource.engine},
              {"version", resource.version},
              {"required", resource.required},
              {"recorded", resource.recorded}};
    for (const auto& [what, answer] : {std::pair{"up", &resource.up},
                                       {"sound", &resource.sound},
                                       {"position", &resource.position}}) {
      json[what] = {{"verdict", std::string(name_of(answer->verdict))}, {"text", answer->text}};
    }
    json["problem"] = resource.problem();
    resources.push_back(std::move(json));
  }
  Json record = nullptr;
  if (proof.record.is_object()) {
    record = {{"window", member(proof.record, "window")},
              {"sequence", member(proof.record, "sequence")},
              {"boot", member(proof.record, "boot")}};
  }
  return {{"schema", kSchema},           {"holdfast", HOLDFAST_VERSION},
          {"record", std::move(record)}, {"resources", std::move(resources)},
          {"problem", proof.problem},    {"status", proof.exit_status()}};
}

}  // namespace holdfast::ctl
