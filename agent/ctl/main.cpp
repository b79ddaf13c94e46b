// SPDX-License-Identifier: MIT
//
// holdfastctl: asks holdfastd one thing and shows the answer, and ends with the status that the
// answer names (design 3.3), as the hook does; or looks around by itself (prove, setup, doctor).
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <string>
#include <utility>

#include "base/json_codec.h"
#include "base/process_runner.h"
#include "ctl/drill_table.h"
#include "ctl/options.h"
#include "ctl/prove.h"
#include "ctl/request.h"
#include "ctl/setup.h"
#include "ctl/tables.h"
#include "doctor/doctor.h"

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
constexpr auto kStatusLimit = 10s;

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
    case Command::kProve:
    case Command::kSetup:
    case Command::kDoctor:
      break;
  }
  return {};
}

int complain(const Error& error) {
  (void)std::fprintf(stderr, "holdfastctl: %s\n", error.one_line().c_str());
  return holdfast::base::guest_exit_status(error.code());
}

int request(const CommandLine& line, holdfast::base::Verb verb) {
  auto reply = holdfast::ctl::ask(line.socket, verb, kOuterLimit);
  if (!reply) return complain(reply.error());
  (void)std::fputs(show(line, *reply).c_str(), stdout);
  if (reply->line.status != 0) {
    (void)std::fprintf(stderr, "holdfastctl: %s\n", reply->line.text.c_str());
  }
  return reply->line.status;
}

int doctor(const CommandLine& line) {
  auto reply = holdfast::ctl::ask(line.socket, holdfast::base::Verb::kStatus, kStatusLimit);
  holdfast::base::Result<Json> status = Json::object();
  if (!reply) {
    status = reply.error();
  } else if (reply->line.status != 0) {
    status = Error(holdfast::base::ErrorCode::kRefused, reply->line.text);
  } else {
    status = std::move(reply->document);
  }
  const holdfast::doctor::World world;
  holdfast::base::SystemProcessRunner processes;
  const auto diagnosis = holdfast::doctor::examine(world, processes, status, ::geteuid() == 0);
  (void)std::fputs(
      line.json ? holdfast::base::to_document(holdfast::doctor::diagnosis_json(diagnosis)).c_str()
                : holdfast::doctor::diagnosis_text(diagnosis).c_str(),
      stdout);
  return diagnosis.exit_status();
}

int setup(const CommandLine& line) {
  const holdfast::ctl::SetupWish wish{line.programs, line.remove, line.yes};
  holdfast::base::SystemProcessRunner processes;
  const auto outcome = holdfast::ctl::run_setup(processes, wish);
  (void)std::fputs(
      line.json ? holdfast::base::to_document(holdfast::ctl::setup_json(outcome, wish)).c_str()
                : holdfast::ctl::setup_text(outcome, wish).c_str(),
      stdout);
  return outcome.exit_status();
}

int prove(const CommandLine& line) {
  holdfast::base::SystemProcessRunner processes;
  const auto daemon = [&line] {
    return holdfast::ctl::ask(line.socket, holdfast::base::Verb::kCheck, kOuterLimit);
  };
  const auto proof = holdfast::ctl::prove(
      processes, daemon, {line.programs, line.resources, line.record, line.wait, line.timeout});
  (void)std::fputs(line.json ? holdfast::base::to_document(holdfast::ctl::proof_json(proof)).c_str()
                             : holdfast::ctl::proof_text(proof).c_str(),
                   stdout);
  if (!proof.problem.empty())
    (void)std::fprintf(stderr, "holdfastctl: %s\n", proof.problem.c_str());
  return proof.exit_status();
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
  if (verb) return request(*line, *verb);
  if (line->command == Command::kProve) return prove(*line);
  return line->command == Command::kSetup ? setup(*line) : doctor(*line);
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
