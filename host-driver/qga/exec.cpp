// SPDX-License-Identifier: MIT
#include "qga/exec.h"

#include <limits>

#include "base/look_until.h"
#include "base/text.h"
#include "qga/base64.h"

namespace holdfast::host::qga {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;

namespace {

// The agent announces no end of a program.
constexpr base::Millis kPause{500};

Error not_a_status(const std::string& why) {
  return {ErrorCode::kProtocol, "guest-exec-status: " + why};
}

Result<std::optional<int>> number_in(const Json& answer, const char* key) {
  if (!answer.contains(key)) return std::optional<int>();
  const auto number = base::integer_member(answer, key);
  if (!number) return number.error();
  if (*number < std::numeric_limits<int>::min() || *number > std::numeric_limits<int>::max()) {
    return not_a_status("'" + std::string(key) + "' is no such number");
  }
  return std::optional<int>(static_cast<int>(*number));
}

Result<std::string> text_in(const Json& answer, const char* key) {
  if (!answer.contains(key)) return std::string();
  const auto encoded = base::string_member(answer, key);
  return encoded ? decode_base64(*encoded) : encoded.error();
}

Result<std::int64_t> begin(Agent& agent, const std::vector<std::string>& words, Deadline deadline,
                           const std::stop_token& stop) {
  const auto answer =
      agent.execute("guest-exec",
                    {{"path", words.front()},
                     {"arg", std::vector<std::string>(words.begin() + 1, words.end())},
                     {"capture-output", true}},
                    deadline, stop);
  if (!answer) {
    // The agent gives its libraries' words and no code.
    const Error& error = answer.error();
    const bool absent = error.code() == ErrorCode::kGuest &&
                        error.text().find("No such file or directory") != std::string::npos;
    if (absent) {
      return Error(ErrorCode::kNotFound,
                   "the guest has no '" + base::printable(words.front()) + "'");
    }
    return error;
  }
  return base::integer_member(*answer, "pid");
}

}  // namespace

Result<std::optional<Ran>> parse_exec_status(const Json& answer) {
  const auto exited = base::bool_member(answer, "exited");
  if (!exited) return not_a_status(exited.error().text());
  if (!*exited) return std::optional<Ran>();
  const auto status = number_in(answer, "exitcode");
  const auto signal = number_in(answer, "signal");
  auto output = text_in(answer, "out-data");
  auto error_output = text_in(answer, "err-data");
  for (const Result<std::optional<int>>* number : {&status, &signal}) {
    if (!*number) return not_a_status(number->error().text());
  }
  for (const Result<std::string>* text : {&output, &error_output}) {
    if (!*text) return not_a_status(text->error().text());
  }
  const bool truncated = base::bool_member(answer, "out-truncated").value_or(false) ||
                         base::bool_member(answer, "err-truncated").value_or(false);
  return std::optional<Ran>(
      Ran{*status, *signal, std::move(*output), std::move(*error_output), truncated});
}

Result<Ran> run_in_guest(Agent& agent, const std::vector<std::string>& words, Deadline deadline,
                         const std::stop_token& stop) {
  const auto pid = begin(agent, words, deadline, stop);
  if (!pid) return pid.error();
  Result<std::optional<Ran>> ran = std::optional<Ran>();
  const bool ended = base::look_until(deadline, kPause, [&] {
    const auto answer = agent.execute("guest-exec-status", {{"pid", *pid}}, deadline, stop);
    ran = answer ? parse_exec_status(*answer) : answer.error();
    return !ran || *ran;
  });
  if (!ran) return std::move(ran).error();
  if (ended) return std::move(**ran);
  return Error(ErrorCode::kTimedOut,
               "'" + base::printable(words.front()) + "' in the guest has not ended in time");
}

}  // namespace holdfast::host::qga
