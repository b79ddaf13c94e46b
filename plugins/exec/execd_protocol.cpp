// SPDX-License-Identifier: MIT
#include "exec/execd_protocol.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/text.h"

namespace holdfast::exec {

using base::Error;
using base::ErrorCode;
using base::Millis;
using base::Result;

namespace {

constexpr std::string_view kVersion = "holdfast-exec/1";
constexpr std::string_view kNoWindow = "-";
constexpr std::array<std::pair<ExecVerb, std::string_view>, 5> kVerbs{
    {{ExecVerb::kProbe, "probe"},
     {ExecVerb::kPrepare, "prepare"},
     {ExecVerb::kFreeze, "freeze"},
     {ExecVerb::kCheck, "check"},
     {ExecVerb::kThaw, "thaw"}}};

Error not_a_request(std::string_view line) {
  return {ErrorCode::kProtocol, "not a request: '" + base::printable(line, 80) + "'"};
}

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  for (;;) {
    const std::size_t blank = line.find(' ');
    words.push_back(line.substr(0, blank));
    if (blank == std::string_view::npos) return words;
    line.remove_prefix(blank + 1);
  }
}

}  // namespace

std::string_view name_of(ExecVerb verb) {
  for (const auto& [known, name] : kVerbs) {
    if (known == verb) return name;
  }
  return "unknown";
}

std::string format_exec_request(const ExecRequest& request) {
  const auto time = std::clamp<Millis>(request.time_left, Millis{1}, kMostTime);
  std::string line(kVersion);
  line += " ";
  line += name_of(request.verb);
  line += " " + request.resource + " ";
  line += request.window.empty() ? std::string(kNoWindow) : request.window;
  return line + " " + std::to_string(time.count()) + "\n";
}

Result<ExecRequest> parse_exec_request(std::string_view line) {
  const std::vector<std::string_view> words = words_of(line);
  if (words.size() != 5 || words[0] != kVersion) return not_a_request(line);
  const auto verb = std::find_if(kVerbs.begin(), kVerbs.end(),
                                 [&](const auto& known) { return known.second == words[1]; });
  if (verb == kVerbs.end() || !base::is_plain_name(words[2])) return not_a_request(line);
  ExecRequest request{verb->first, std::string(words[2]), {}, {}};
  if (words[3] != kNoWindow) {
    if (!base::is_plain_name(words[3])) return not_a_request(line);
    request.window = words[3];
  }
  std::int64_t time = 0;
  const char* const end = words[4].data() + words[4].size();
  const auto [rest, problem] = std::from_chars(words[4].data(), end, time);
  if (problem != std::errc{} || rest != end || time < 1 || time > kMostTime.count()) {
    return not_a_request(line);
  }
  request.time_left = Millis{time};
  return request;
}

std::string format_exec_reply(const Result<std::string>& result) {
  std::string line(kVersion);
  line += " ";
  line += result ? std::string_view("ok") : base::name_of(result.error().code());
  const std::string text = result ? *result : result.error().one_line();
  return line + " " + base::printable(text, 1500) + "\n";
}

Result<std::string> parse_exec_reply(std::string_view line) {
  const std::size_t first = line.find(' ');
  const std::size_t second = first == std::string_view::npos ? first : line.find(' ', first + 1);
  if (second != std::string_view::npos && line.substr(0, first) == kVersion) {
    const std::string_view name = line.substr(first + 1, second - first - 1);
    std::string text = base::printable(line.substr(second + 1), 1500);
    if (name == "ok") return text;
    if (const auto code = base::error_code_named(name)) return Error(*code, std::move(text));
  }
  return Error(ErrorCode::kProtocol,
               "holdfast-execd sent no proper reply: '" + base::printable(line, 80) + "'");
}

}  // namespace holdfast::exec
