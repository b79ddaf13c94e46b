// SPDX-License-Identifier: MIT
#include "qmp/client.h"

#include <utility>

#include "base/text.h"

namespace holdfast::host::qmp {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;

namespace {

constexpr std::size_t kLineLimit = std::size_t{16} << 20U;
constexpr base::JsonLimits kLimits{kLineLimit, 64};
// Nobody waits for more than the events of a handful of jobs; the oldest give way.
constexpr std::size_t kEventLimit = 1000;
constexpr std::string_view kIdPrefix = "holdfast-";
// No command of any QEMU.
constexpr std::string_view kTakenBack = "holdfast-taken-back";

// The last word of a command that was sent ahead.
std::string rest_of(std::string_view command) {
  return base::to_line(Json(command)) + "}\n";
}

Error refusal(const Json& error) {
  const std::string kind = base::string_member(error, "class").value_or("");
  const std::string text =
      base::printable(base::string_member(error, "desc").value_or("no reason given"));
  return {kind == "CommandNotFound" ? ErrorCode::kUnsupported : ErrorCode::kRefused, text};
}

}  // namespace

Result<Client> Client::connect(const wire::Endpoint& endpoint, Deadline deadline,
                               const std::stop_token& stop) {
  auto fd = wire::open_endpoint(endpoint, deadline);
  if (!fd && !endpoint.program.empty()) {
    return base::wrap(std::move(fd).error(), "unable to reach " + endpoint.name);
  }
  if (!fd) {
    return Error(ErrorCode::kUnreachable,
                 "unable to reach the QEMU monitor at '" + base::printable(endpoint.path) + "'")
        .with_hint("is the virtual machine running, with -qmp unix:PATH,server=on,wait=off?")
        .caused_by(std::move(fd).error());
  }
  Client client(wire::LineChannel(std::move(*fd), kLineLimit),
                endpoint.described_as("QEMU monitor"));
  if (auto greeted = client.greet(deadline, stop); !greeted) return std::move(greeted).error();
  return client;
}

Result<void> Client::greet(Deadline deadline, const std::stop_token& stop) {
  auto greeting = receive(deadline, stop);
  // The answer to a client that ended before it came: QEMU keeps it for whoever is next.
  while (greeting && base::string_member(*greeting, "id") && !deadline.passed())
    greeting = receive(deadline, stop);
  if (!greeting) {
    Error error = named("the greeting", std::move(greeting).error());
    if (error.code() == ErrorCode::kCancelled) return error;
    return std::move(error).with_hint(
        "QEMU serves one client per monitor: is another one connected?");
  }
  if (const auto error = base::object_member(*greeting, "error"); error) {
    return Error(ErrorCode::kUnreachable, "unable to reach " + name_).caused_by(refusal(**error));
  }
  auto qmp = base::object_member(*greeting, "QMP");
  if (!qmp) return named("the greeting", std::move(qmp).error());
  if (const auto version = base::object_member(**qmp, "version"); version) {
    if (const auto numbers = base::object_member(**version, "qemu"); numbers) {
      for (const char* part : {"major", "minor", "micro"}) {
        const auto number = base::integer_member(**numbers, part);
        version_ += (version_.empty() ? "" : ".") + (number ? std::to_string(*number) : "?");
      }
    }
  }
  auto done = execute("qmp_capabilities", Json::object(), deadline, stop);
  if (!done) return std::move(done).error();
  return {};
}

Result<Json> Client::execute(std::string_view command, Json arguments, Deadline deadline,
                             const std::stop_token& stop) {
  return ask(command, std::move(arguments), -1, deadline, stop);
}

Result<Json> Client::execute_with_fd(std::string_view command, Json arguments, int fd,
                                     Deadline deadline) {
  return ask(command, std::move(arguments), fd, deadline, {});
}

Result<Json> Client::ask(std::string_view command, Json arguments, int fd, Deadline deadline,
                         const std::stop_token& stop) {
  if (auto free = take_back(deadline); !free) return named(command, std::move(free).error());
  const std::string id = next_id();
  Json request{{"execute", command}};
  if (!arguments.empty()) request["arguments"] = std::move(arguments);
  request["id"] = id;
  const std::string line = base::to_line(request) + "\n";
  auto sent = fd < 0 ? channel_.send(line, deadline) : channel_.send_with_fd(line, fd, deadline);
  if (!sent) return named(command, std::move(sent).error());
  return answer_to(command, id, deadline, stop);
}

std::string Client::next_id() {
  return std::string(kIdPrefix) + std::to_string(++last_id_);
}

Result<void> Client::send_ahead(std::string_view command, const Json& arguments,
                                Deadline deadline) {
  if (auto free = take_back(deadline); !free) return named(command, std::move(free).error());
  ahead_ = Ahead{std::string(command), next_id()};
  // QEMU takes the members in any order (RFC 8259, 4): what says what is to be done comes last.
  const std::string text = "{\"arguments\":" + base::to_line(arguments) +
                           ",\"id\":" + base::to_line(Json(ahead_->id)) + ",\"execute\":";
  if (auto sent = channel_.send(text, deadline); !sent) {
    return named(command, std::move(sent).error());
  }
  return {};
}

Result<Json> Client::execute_ahead(Deadline deadline) {
  const Ahead ahead = std::exchange(ahead_, std::nullopt).value();
  if (auto sent = channel_.send(rest_of(ahead.command), deadline); !sent) {
    return named(ahead.command, std::move(sent).error());
  }
  return answer_to(ahead.command, ahead.id, deadline, {});
}

Result<void> Client::take_back(Deadline deadline) {
  if (!std::exchange(ahead_, std::nullopt)) return {};
  return channel_.send(rest_of(kTakenBack), deadline);
}

Result<Json> Client::answer_to(std::string_view command, const std::string& id, Deadline deadline,
                               const std::stop_token& stop) {
  for (;;) {
    auto message = receive(deadline, stop);
    if (!message) return named(command, std::move(message).error());
    const bool is_event = keep_event(*message);
    const auto answered = base::string_member(*message, "id");
    // An event, or the late answer to a command that was given up.
    if (is_event || (answered && *answered != id)) {
      // Such messages without end must not outlast the deadline.
      if (!deadline.passed()) continue;
      return named(command, Error(ErrorCode::kTimedOut, "timed out waiting for an answer"));
    }
    if (!answered) {
      // QEMU leaves the id out only where it could not read the command at all.
      const auto error = base::object_member(*message, "error");
      return named(command, error ? refusal(**error)
                                  : Error(ErrorCode::kProtocol, "an answer without an id"));
    }
    if (const auto error = base::object_member(*message, "error"); error) {
      return named(command, refusal(**error));
    }
    const auto value = message->find("return");
    if (value == message->end()) {
      return named(command, Error(ErrorCode::kProtocol, "an answer without a result"));
    }
    return Json(*value);
  }
}

Result<Event> Client::next_event(Deadline deadline, const std::stop_token& stop) {
  while (events_.empty()) {
    auto message = receive(deadline, stop);
    if (!message) return named("waiting for an event", std::move(message).error());
    if (keep_event(*message)) break;
    if (deadline.passed()) {
      return named("waiting for an event", Error(ErrorCode::kTimedOut, "no event came in time"));
    }
  }
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

Result<Json> Client::receive(Deadline deadline, const std::stop_token& stop) {
  auto line = channel_.receive(deadline, stop);
  if (!line) return std::move(line).error();
  auto message = base::parse_json(*line, kLimits);
  if (message && !message->is_object()) {
    return Error(ErrorCode::kProtocol, "not a QMP message: '" + base::printable(*line, 60) + "'");
  }
  return message;
}

bool Client::keep_event(const Json& message) {
  auto name = base::string_member(message, "event");
  if (!name) return false;
  const auto data = base::object_member(message, "data");
  if (events_.size() == kEventLimit) events_.pop_front();
  events_.push_back({std::move(*name), data ? **data : Json::object()});
  return true;
}

Error Client::named(std::string_view command, Error cause) const {
  const ErrorCode code = cause.code();
  return Error(code, name_ + ": " + std::string(command)).caused_by(std::move(cause));
}

}  // namespace holdfast::host::qmp
