// SPDX-License-Identifier: MIT
//
// holdfastctl: asks holdfastd one thing and shows the answer. Ends with the status that the answer
// names (design 3.3), as the hook does.
#include <cstdio>
#include <exception>
#include <string>

#include "base/json_codec.h"
#include "ctl/drill_table.h"
#include "ctl/options.h"
#include "ctl/request.h"
#include "ctl/tables.h"

namespace {

using namespace std::chrono_literals;
using holdfast::base::Error;
using holdfast::base::Json;
using holdfast::ctl::Command;
using holdfast::ctl::CommandLine;
using holdfast::ctl::Reply;

// More than the most that freeze-timeout and thaw-timeout may be set to, both together, which is
// what a drill may take.
constexpr auto kOuterLimit = 250s;

std::string show(const CommandLine& line, const Reply& reply) {
  if (line.json) {
    Json document = reply.document.is_object() ? reply.document : Json::object();
    document["status"] = reply.line.status;
    document["name"] = reply.line.name;
    document["text"] = reply.line.text;
    return holdfast::base::to_document(document);
  }
  switch (line.command) {
    case Command::kStatus:
    case Command::kCheck:
      return holdfast::ctl::status_text(reply.document);
    case Command::kReport:
      return holdfast::ctl::report_text(reply.document);
    case Command::kDrill:
      return holdfast::ctl::drill_text(reply.document);
    case Command::kFreeze:
      return reply.line.status == 0 ? "held: thaw before max-hold is over\n" : "";
    case Command::kThaw:
      return reply.line.status == 0 ? "thawed: nothing is held\n" : "";
  }
  return {};
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
  const auto verb = holdfast::ctl::spec_of(line->command).verb;
  auto reply = holdfast::ctl::ask(line->socket, *verb, kOuterLimit);
  if (!reply) return complain(reply.error());
  (void)std::fputs(show(*line, *reply).c_str(), stdout);
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
