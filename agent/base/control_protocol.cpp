// SPDX-License-Identifier: MIT
#include "base/control_protocol.h"

#include <array>
#include <charconv>

#include "base/text.h"

namespace holdfast::base {

namespace {

constexpr std::string_view kGreeting = "holdfast/1 ";
// Of an error code. Greeting, status, name and what separates them stay below kBeforeText.
constexpr std::size_t kNameLimit = 32;
constexpr std::size_t kBeforeText = 64;
constexpr std::array<Verb, 6> kVerbs{Verb::kFreeze, Verb::kThaw,   Verb::kStatus,
                                     Verb::kCheck,  Verb::kReport, Verb::kDrill};

Error not_ours(std::string_view what, std::string_view line) {
  return {ErrorCode::kProtocol,
          "unable to read the " + std::string(what) + " '" + printable(line, 60) + "'"};
}

}  // namespace

std::string_view name_of(Verb verb) {
  switch (verb) {
    case Verb::kFreeze:
      return "freeze";
    case Verb::kThaw:
      return "thaw";
    case Verb::kStatus:
      return "status";
    case Verb::kCheck:
      return "check";
    case Verb::kReport:
      return "report";
    case Verb::kDrill:
      return "drill";
  }
  return "unknown";  // uncovered: every value has its case
}

std::optional<Verb> verb_named(std::string_view name) {
  for (const Verb verb : kVerbs) {
    if (name_of(verb) == name) return verb;
  }
  return std::nullopt;
}

std::string format_request(Verb verb) {
  return std::string(kGreeting) + std::string(name_of(verb)) + "\n";
}

Result<Verb> parse_request(std::string_view line) {
  if (!line.starts_with(kGreeting)) return not_ours("request", line);
  const auto verb = verb_named(line.substr(kGreeting.size()));
  if (!verb) return not_ours("request", line);
  return *verb;
}

std::string format_reply(const ReplyLine& reply) {
  std::string line = std::string(kGreeting) + std::to_string(reply.status) + " " + reply.name + " ";
  line += printable(reply.text, kReplyLineLimit - kBeforeText);
  return line + "\n";
}

ReplyLine reply_for(const Error& error) {
  return {guest_exit_status(error.code()), std::string(name_of(error.code())), error.one_line()};
}

Result<ReplyLine> parse_reply(std::string_view line) {
  if (line.size() > kReplyLineLimit || !line.starts_with(kGreeting)) return not_ours("reply", line);
  std::string_view rest = line.substr(kGreeting.size());
  ReplyLine reply;
  const auto [after, problem] =
      std::from_chars(rest.data(), rest.data() + rest.size(), reply.status);
  rest.remove_prefix(static_cast<std::size_t>(after - rest.data()));
  const std::size_t name_end = rest.find(' ', 1);
  if (problem != std::errc{} || reply.status < 0 || reply.status > 255 || !rest.starts_with(' ') ||
      name_end == std::string_view::npos) {
    return not_ours("reply", line);
  }
  reply.name = rest.substr(1, name_end - 1);
  reply.text = printable(rest.substr(name_end + 1), kReplyLineLimit);
  if (!is_plain_name(reply.name) || reply.name.size() > kNameLimit ||
      (reply.status == 0) != (reply.name == "ok")) {
    return not_ours("reply", line);
  }
  return reply;
}

}  // namespace holdfast::base
