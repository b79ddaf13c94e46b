// SPDX-License-Identifier: MIT
#include "container/agent_inside.h"

#include "base/text.h"

namespace holdfast::host::container {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::ProcessOutcome;
using base::Result;

namespace {

constexpr const char* kControl = "/usr/sbin/holdfastctl";
// Of the shell in the container, where something is not there: nothing else ends with it.
constexpr int kAbsent = 44;
constexpr std::size_t kWordsLimit = 4096;

Error failed(const ProcessOutcome& outcome, const std::string& doing) {
  return base::wrap(outcome.as_error("a program in the container"), "unable to " + doing);
}

}  // namespace

ProcessOutcome AgentInside::run(std::vector<std::string> argv, std::size_t limit, Deadline deadline,
                                const std::stop_token& stop) {
  return processes_.run({.argv = manager_.inside(std::move(argv)),
                         .deadline = deadline,
                         .stop = stop,
                         .output_limit = limit});
}

Result<void> AgentInside::look(Deadline deadline, const std::stop_token& stop) {
  const ProcessOutcome outcome = run({"/bin/sh", "-c", R"([ -x "$1" ] || exit 44)", "sh", kControl},
                                     kWordsLimit, deadline, stop);
  if (outcome.succeeded()) return {};
  if (outcome.ending == ProcessOutcome::Ending::kExited && outcome.status == kAbsent) {
    return Error(ErrorCode::kNotFound, "there is no " + std::string(kControl) + " in the container")
        .with_hint("install holdfast-agent in it");
  }
  return failed(outcome, "look for holdfastctl in the container");
}

Result<AgentInside::Answer> AgentInside::say(const char* verb, Deadline deadline,
                                             const std::stop_token& stop) {
  const ProcessOutcome outcome = run({kControl, verb}, kWordsLimit, deadline, stop);
  if (outcome.ending != ProcessOutcome::Ending::kExited) {
    return failed(outcome, std::string("run 'holdfastctl ") + verb + "' in the container");
  }
  const std::string_view said = base::trimmed(outcome.error_output);
  return Answer{outcome.status, base::printable(base::trimmed(said.substr(0, said.find('\n'))))};
}

Result<AgentInside::Answer> AgentInside::freeze(Deadline deadline, const std::stop_token& stop) {
  return say("freeze", deadline, stop);
}

Result<AgentInside::Answer> AgentInside::thaw(Deadline deadline) {
  return say("thaw", deadline, {});
}

Result<std::string> AgentInside::read(const std::string& path, std::size_t limit, Deadline deadline,
                                      const std::stop_token& stop) {
  ProcessOutcome outcome =
      run({"/bin/sh", "-c", R"([ -e "$1" ] || exit 44; exec cat "$1")", "sh", path}, limit,
          deadline, stop);
  if (outcome.succeeded() && outcome.truncated) {
    return Error(ErrorCode::kTooLarge, "'" + base::printable(path) + "' in the container is " +
                                           "larger than " + base::format_bytes(limit));
  }
  if (outcome.succeeded()) return std::move(outcome.output);
  if (outcome.ending == ProcessOutcome::Ending::kExited && outcome.status == kAbsent) {
    return Error(ErrorCode::kNotFound,
                 "there is no '" + base::printable(path) + "' in the container");
  }
  return failed(outcome, "read '" + base::printable(path) + "' in the container");
}

}  // namespace holdfast::host::container
