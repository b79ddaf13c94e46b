// SPDX-License-Identifier: MIT
//
// holdfastctl: asks holdfastd one thing and shows the answer. Ends with the status that the answer
// names (design 3.3), as the hook does.
#include <cstdio>
#include <exception>
#include <string>

#include "base/json_codec.h"
#include "base/unix_socket.h"
#include "ctl/options.h"
#include "ctl/tables.h"

namespace {

using namespace std::chrono_literals;
using holdfast::base::Deadline;
using holdfast::base::Error;
using holdfast::base::ErrorCode;
using holdfast::base::Json;
using holdfast::base::ReplyLine;
using holdfast::base::Result;
using holdfast::base::Verb;
using holdfast::ctl::CommandLine;

constexpr auto kOuterLimit = 130s;  // the hook's, too
constexpr auto kConnectLimit = 5s;

struct Reply {
  ReplyLine line;
  std::string document;
};

Result<Reply> ask(const CommandLine& line) {
  const Deadline deadline = Deadline::in(kOuterLimit);
  auto fd = holdfast::base::connect_unix(line.socket, Deadline::in(kConnectLimit));
  if (!fd) {
    return Error(ErrorCode::kDaemonUnreachable, fd.error().text())
        .with_hint("is holdfastd running, and are you root?");
  }
  const auto lost = [](const Error& problem) {
    return Error(ErrorCode::kDaemonUnreachable, "holdfastd gave no answer").caused_by(problem);
  };
  auto sent =
      holdfast::base::send_all(fd->get(), holdfast::base::format_request(line.verb), deadline);
  if (!sent) return lost(sent.error());
  std::string buffer;
  auto first =
      holdfast::base::receive_line(fd->get(), buffer, holdfast::base::kReplyLineLimit, deadline);
  if (!first) return lost(first.error());
  auto parsed = holdfast::base::parse_reply(*first);
  if (!parsed) return std::move(parsed).error();
  auto rest = holdfast::base::receive_all(fd->get(), std::move(buffer),
                                          holdfast::base::kReplyDocumentLimit, deadline);
  if (!rest) return lost(rest.error());
  return Reply{std::move(*parsed), std::move(*rest)};
}

Result<std::string> show(const CommandLine& line, const Reply& reply) {
  Json document;
  if (!reply.document.empty()) {
    auto parsed =
        holdfast::base::parse_json(reply.document, {holdfast::base::kReplyDocumentLimit, 32});
    if (!parsed) return std::move(parsed).error();
    document = std::move(*parsed);
  }
  if (line.json) {
    if (!document.is_object()) document = Json::object();
    document["status"] = reply.line.status;
    document["name"] = reply.line.name;
    document["text"] = reply.line.text;
    return holdfast::base::to_document(document);
  }
  switch (line.verb) {
    case Verb::kStatus:
    case Verb::kCheck:
      return holdfast::ctl::status_text(document);
    case Verb::kReport:
      return holdfast::ctl::report_text(document);
    case Verb::kFreeze:
      return std::string(reply.line.status == 0 ? "held: thaw before max-hold is over\n" : "");
    case Verb::kThaw:
      return std::string(reply.line.status == 0 ? "thawed: nothing is held\n" : "");
  }
  return std::string();
}

int complain(const Error& error) {
  (void)std::fprintf(stderr, "holdfastctl: %s\n", error.one_line().c_str());
  return holdfast::base::guest_exit_status(error.code());
}

int run(int argc, char** argv) {
  auto line = holdfast::ctl::parse_command_line(argc, argv);
  if (!line) return complain(line.error());
  if (line->help) {
    (void)std::fputs(holdfast::ctl::usage_text().c_str(), stdout);
    return 0;
  }
  if (line->version) {
    (void)std::puts("holdfastctl " HOLDFAST_VERSION);
    return 0;
  }
  auto reply = ask(*line);
  if (!reply) return complain(reply.error());
  auto shown = show(*line, *reply);
  if (!shown) return complain(shown.error());
  (void)std::fputs(shown->c_str(), stdout);
  if (reply->line.status != 0) {
    (void)std::fprintf(stderr, "holdfastctl: %s\n", reply->line.text.c_str());
  }
  return reply->line.status;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& problem) {
    (void)std::fprintf(stderr, "holdfastctl: %s\n", problem.what());
    return 1;
  }
}
