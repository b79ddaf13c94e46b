// SPDX-License-Identifier: MIT
//
// What the exec plugin and holdfast-execd say to each other (plugins/exec/execd_protocol.h): any
// line as a request, which becomes a program that runs as root, and as a reply.
#include "exec/execd_protocol.h"

#include "base/text.h"
#include "fuzz.h"

namespace holdfast::fuzz {

namespace {

using base::ErrorCode;

void check_request(std::string_view line) {
  const auto request = exec::parse_exec_request(line);
  if (!request) {
    require(request.error().code() == ErrorCode::kProtocol, "a wrong request is kProtocol");
    require(is_one_safe_line(request.error().one_line()), "the error is one safe line");
    return;
  }
  require(base::is_plain_name(request->resource), "a resource is a plain name");
  require(request->window.empty() || base::is_plain_name(request->window), "a window is one too");
  require(request->time_left.count() >= 1 && request->time_left <= exec::kMostTime, "its time");
  const std::string sent = exec::format_exec_request(*request);
  const auto again = exec::parse_exec_request(std::string_view(sent).substr(0, sent.size() - 1));
  require(again && again->verb == request->verb && again->resource == request->resource &&
              again->window == request->window && again->time_left == request->time_left,
          "a request is read as it was sent");
}

void check_sent(const base::Result<std::string>& answer) {
  const std::string sent = exec::format_exec_reply(answer);
  require(sent.size() <= exec::kExecReplyLimit, "a reply fits its limit");
  require(sent.find('\n') == sent.size() - 1, "a reply is one line");
  const auto read = exec::parse_exec_reply(std::string_view(sent).substr(0, sent.size() - 1));
  require(read.has_value() == answer.has_value(), "a failure arrives as a failure");
  if (!read) require(read.error().code() == answer.error().code(), "with its code");
}

void check_reply(std::string_view line) {
  const auto reply = exec::parse_exec_reply(line);
  require(is_one_safe_line(reply ? *reply : reply.error().one_line()), "it is one safe line");
  check_sent(reply);
}

}  // namespace

void check(std::string_view input) {
  const std::string_view line = input.substr(0, input.find('\n'));
  check_request(line);
  check_reply(line);
  check_sent(std::string(input));
  check_sent(base::Error(ErrorCode::kProcessFailed, std::string(input)));
}

}  // namespace holdfast::fuzz
