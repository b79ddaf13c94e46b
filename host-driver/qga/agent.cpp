// SPDX-License-Identifier: MIT
#include "qga/agent.h"

#include <sys/random.h>

#include <optional>

#include "base/text.h"
#include "qga/base64.h"

namespace holdfast::host::qga {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;

namespace {

// guest-info of an agent with every command is about 10 KiB; a piece of a file is 64 KiB.
constexpr std::size_t kLineLimit = std::size_t{1} << 20U;
constexpr base::JsonLimits kLimits{kLineLimit, 32};
// How much is thrown away in one synchronisation before the guest counts as flooding us.
constexpr std::size_t kDiscardLimit = std::size_t{4} << 20U;
constexpr std::int64_t kPieceSize = std::int64_t{48} * 1024;
constexpr char kDelimiter = '\xFF';

Result<std::int64_t> random_number() {
  std::uint64_t bits = 0;
  if (::getrandom(&bits, sizeof bits, 0) != static_cast<ssize_t>(sizeof bits)) {
    return base::errno_error(errno, "unable to get random bytes");
  }
  // QAPI's int is signed: 63 bits remain.
  return static_cast<std::int64_t>(bits >> 1U);
}

Error guest_refusal(const Json& error) {
  const std::string kind = base::string_member(error, "class").value_or("");
  const std::string text = base::string_member(error, "desc").value_or("no reason given");
  return {kind == "CommandNotFound" ? ErrorCode::kUnsupported : ErrorCode::kGuest,
          base::printable(text)};
}

std::string request_line(std::string_view command, Json arguments) {
  Json request{{"execute", command}};
  if (!arguments.empty()) request["arguments"] = std::move(arguments);
  return base::to_line(request) + "\n";
}

// The guest is out of reach, says who stands between.
std::optional<Error> channel_problem(const Json& message) {
  const auto text = base::string_member(message, kChannelProblem);
  if (!text) return std::nullopt;
  return Error(ErrorCode::kUnreachable, base::printable(*text));
}

// Is this the answer to guest-sync-delimited?
Result<bool> is_answer_to_sync(std::string_view line, std::int64_t number) {
  if (line.empty()) return false;
  const auto message = base::parse_json(line, kLimits);
  if (!message) return false;
  if (auto problem = channel_problem(*message); problem) return std::move(*problem);
  const auto value = base::integer_member(*message, "return");
  return value && *value == number;
}

}  // namespace

Result<Agent> Agent::connect(const wire::Endpoint& endpoint, Deadline deadline) {
  auto fd = wire::open_endpoint(endpoint, deadline);
  if (!fd && !endpoint.program.empty()) {
    return base::wrap(std::move(fd).error(), "unable to reach " + endpoint.name);
  }
  if (!fd) {
    return Error(ErrorCode::kUnreachable,
                 "unable to reach the guest agent at '" + base::printable(endpoint.path) + "'")
        .with_hint("the socket of the machine's virtserialport 'org.qemu.guest_agent.0'")
        .caused_by(std::move(fd).error());
  }
  return Agent(wire::LineChannel(std::move(*fd), kLineLimit), endpoint.described_as("guest agent"));
}

Result<void> Agent::sync(Deadline deadline, const std::stop_token& stop) {
  const auto number = random_number();
  if (!number) return number.error();
  in_step_ = false;
  const std::string request = kDelimiter + request_line("guest-sync-delimited", {{"id", *number}});
  if (auto sent = channel_.send(request, deadline); !sent) {
    return named("guest-sync-delimited", std::move(sent).error());
  }
  std::size_t discarded = 0;
  while (discarded <= kDiscardLimit) {
    auto line = channel_.receive(deadline, stop);
    if (!line) return named("guest-sync-delimited", std::move(line).error());
    // Half an answer may stand before the delimiter. Without one the number alone has to do.
    const std::size_t delimiter = line->rfind(kDelimiter);
    const std::string_view tail =
        std::string_view(*line).substr(delimiter == std::string::npos ? 0 : delimiter + 1);
    const auto answered = is_answer_to_sync(tail, *number);
    if (!answered) return named("guest-sync-delimited", answered.error());
    if (*answered) {
      in_step_ = true;
      return {};
    }
    discarded += line->size() + 1;
    // Lines that are here already are not waited for, so their time is counted here.
    if (deadline.passed()) {
      return named("guest-sync-delimited",
                   Error(ErrorCode::kTimedOut, "timed out waiting for an answer"));
    }
  }
  return named("guest-sync-delimited", Error(ErrorCode::kTooLarge, "the guest floods its channel"));
}

Result<Json> Agent::execute(std::string_view command, Json arguments, Deadline deadline,
                            const std::stop_token& stop) {
  if (!in_step_) {
    if (auto done = sync(deadline, stop); !done) return std::move(done).error();
  }
  // Out of step until the answer is here: giving up half-way must not leave it to the next one.
  in_step_ = false;
  if (auto sent = channel_.send(request_line(command, std::move(arguments)), deadline); !sent) {
    return named(command, std::move(sent).error());
  }
  auto line = channel_.receive(deadline, stop);
  if (!line) return named(command, std::move(line).error());
  auto message = base::parse_json(*line, kLimits);
  if (!message) return named(command, std::move(message).error());
  if (auto problem = channel_problem(*message); problem) {
    return named(command, std::move(*problem));
  }
  if (const auto error = base::object_member(*message, "error"); error) {
    in_step_ = true;
    return named(command, guest_refusal(**error));
  }
  if (!message->is_object() || !message->contains("return")) {
    return named(command, Error(ErrorCode::kProtocol, "an answer without a result"));
  }
  in_step_ = true;
  return Json(message->at("return"));
}

Result<void> Agent::send_blindly(std::string_view command, Deadline deadline) {
  in_step_ = false;
  return channel_.send(kDelimiter + request_line(command, Json::object()), deadline);
}

Result<std::string> Agent::read_file(const std::string& path, std::size_t limit, Deadline deadline,
                                     const std::stop_token& stop) {
  auto handle = execute("guest-file-open", {{"path", path}, {"mode", "r"}}, deadline, stop);
  if (!handle) {
    // The agent gives its libc's words and no code.
    const Error& error = handle.error();
    if (error.code() == ErrorCode::kGuest &&
        error.text().find("No such file or directory") != std::string::npos) {
      return Error(ErrorCode::kNotFound, error.text());
    }
    return std::move(handle).error();
  }
  if (!handle->is_number_integer()) {
    return named("guest-file-open", Error(ErrorCode::kProtocol, "the handle is no number"));
  }
  std::string content;
  Result<std::string> result = content;
  for (;;) {
    auto piece =
        execute("guest-file-read", {{"handle", *handle}, {"count", kPieceSize}}, deadline, stop);
    if (!piece) return std::move(piece).error();
    const auto encoded = base::string_member(*piece, "buf-b64");
    const auto at_end = base::bool_member(*piece, "eof");
    if (!encoded || !at_end) {
      return named("guest-file-read", Error(ErrorCode::kProtocol, "not a piece of a file"));
    }
    auto bytes = decode_base64(*encoded);
    if (!bytes) return named("guest-file-read", std::move(bytes).error());
    if (content.size() + bytes->size() > limit) {
      result =
          named("guest-file-read", Error(ErrorCode::kTooLarge, "the guest's file is larger than " +
                                                                   base::format_bytes(limit)));
      break;
    }
    // A piece that is empty and not the last would go on for ever.
    if (*at_end || bytes->empty()) {
      content += *bytes;
      result = std::move(content);
      break;
    }
    content += *bytes;
  }
  (void)execute("guest-file-close", {{"handle", *handle}}, deadline, stop);
  return result;
}

Result<std::string> Agent::version(Deadline deadline, const std::stop_token& stop) {
  auto info = execute("guest-info", Json::object(), deadline, stop);
  if (!info) return std::move(info).error();
  return base::printable(base::string_member(*info, "version").value_or(""), 40);
}

Error Agent::named(std::string_view command, Error cause) const {
  const ErrorCode code = cause.code();
  return Error(code, name_ + ": " + std::string(command)).caused_by(std::move(cause));
}

}  // namespace holdfast::host::qga
