// SPDX-License-Identifier: MIT
#include "bridge/agent_server.h"

#include <algorithm>

#include "base/json_codec.h"

namespace holdfast::host::libvirt {

using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;

namespace {

constexpr char kDelimiter = '\xFF';
constexpr const char* kPing = R"({"execute":"guest-ping"})";

// As qga/agent.h names it.
std::string out_of_reach(const Error& error) {
  return base::to_line({{"holdfast-channel-problem", error.text()}});
}

std::string refusal(const Error& error) {
  return base::to_line({{"error", {{"class", "GenericError"}, {"desc", error.text()}}}});
}

std::string without_delimiter(const std::string& line) {
  const std::size_t found = line.rfind(kDelimiter);
  return found == std::string::npos ? line : line.substr(found + 1);
}

std::string in_one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

}  // namespace

bool is_thaw(const std::string& line) {
  const auto request = base::parse_json(without_delimiter(line));
  return request && base::string_member(*request, "execute").value_or("") == "guest-fsfreeze-thaw";
}

void AgentServer::serve() {
  while (const auto line = requests_.next()) {
    const auto connected = connect();
    writer_.line(connected ? answer(*line) : out_of_reach(connected.error()));
  }
}

// Again, if the daemon was restarted.
Result<void> AgentServer::connect() {
  if (connection_ && connection_->is_alive()) return {};
  auto opened = Connection::open(address_);
  if (!opened) return std::move(opened).error();
  connection_ = std::move(*opened);
  return {};
}

std::string AgentServer::answer(const std::string& line) {
  const std::string text = without_delimiter(line);
  const auto request = base::parse_json(text);
  const std::string command =
      request ? base::string_member(*request, "execute").value_or("") : std::string();
  if (command.empty()) return refusal(Error(ErrorCode::kProtocol, "not a command"));
  const bool is_sync = command == "guest-sync-delimited";
  const auto said = connection_->ask_agent(is_sync ? kPing : text, seconds_);
  if (!said && (is_sync || said.error().code() != ErrorCode::kGuest)) {
    return out_of_reach(said.error());
  }
  if (!said) return refusal(said.error());
  if (!is_sync) return in_one_line(*said);
  const auto arguments = base::object_member(*request, "arguments");
  const auto number = arguments ? base::integer_member(**arguments, "id")
                                : base::Result<std::int64_t>(arguments.error());
  if (!number) return refusal(number.error());
  return kDelimiter + base::to_line({{"return", *number}});
}

}  // namespace holdfast::host::libvirt
