// SPDX-License-Identifier: MIT
#include "support/scripted_peer.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <stdexcept>

#include "base/unix_socket.h"

namespace holdfast::support {

using base::Deadline;
using base::Json;
using base::Millis;

namespace {

constexpr std::size_t kLimit = std::size_t{1} << 20U;
constexpr Millis kPatience{10000};

std::string line_with_id(const Json& request, Json answer) {
  if (request.contains("id")) answer["id"] = request.at("id");
  return base::to_line(answer) + "\n";
}

}  // namespace

Exchange returns(const std::string& command, const Json& value) {
  return {command, [value](const Json& request) {
            return line_with_id(request, Json{{"return", value}});
          }};
}

Exchange fails(const std::string& command, const std::string& kind,
               const std::string& description) {
  return {command, [=](const Json& request) {
            return line_with_id(request, Json{{"error", {{"class", kind}, {"desc", description}}}});
          }};
}

Exchange sends(const std::string& command, const std::string& bytes) {
  return {command, [bytes](const Json&) { return bytes; }};
}

Exchange syncs(const std::string& before) {
  return {"guest-sync-delimited", [before](const Json& request) {
            return before + "\xFF" +
                   base::to_line(Json{{"return", request.at("arguments").at("id")}}) + "\n";
          }};
}

ScriptedPeer::ScriptedPeer(std::string greeting, std::vector<Exchange> script)
    : path_(directory_.path() + "/peer.sock"),
      greeting_(std::move(greeting)),
      script_(std::move(script)),
      ended_(::eventfd(0, EFD_CLOEXEC)) {
  auto server = base::listen_unix(path_, 0600);
  if (!server) throw std::runtime_error(server.error().text());
  server_ = std::move(*server);
  thread_ = std::thread([this] { play(); });
}

ScriptedPeer::~ScriptedPeer() {
  if (thread_.joinable()) (void)finish();
}

std::string ScriptedPeer::finish() {
  const std::uint64_t one = 1;
  (void)!::write(ended_.get(), &one, sizeof one);
  thread_.join();
  if (problem_.empty() && next_ != script_.size()) {
    problem_ = "nobody asked for '" + script_[next_].command + "'";
  }
  return problem_;
}

bool ScriptedPeer::serve(int client, const std::string& line) {
  const std::size_t delimiter = line.rfind('\xFF');
  const auto request =
      base::parse_json(line.substr(delimiter == std::string::npos ? 0 : delimiter + 1));
  if (!request) {
    problem_ = "not a request: " + line;
    return false;
  }
  const std::string command = request->at("execute").get<std::string>();
  if (next_ == script_.size() || script_[next_].command != command) {
    problem_ = "'" + command + "' came, expected was '" +
               (next_ == script_.size() ? "the end" : script_[next_].command) + "'";
    return false;
  }
  const std::string answer = script_[next_++].answer(*request);
  // A client that gave up meanwhile is the client's affair.
  (void)base::send_all(client, answer, Deadline::in(kPatience));
  return true;
}

void ScriptedPeer::play() {
  base::UniqueFd client;
  std::string buffer;
  for (;;) {
    const std::size_t end = buffer.find('\n');
    if (end != std::string::npos) {
      const std::string line = buffer.substr(0, end);
      buffer.erase(0, end + 1);
      if (!serve(client.get(), line)) return;
      continue;
    }
    std::array<pollfd, 2> watched{
        {{client.valid() ? client.get() : server_.get(), POLLIN, 0}, {ended_.get(), POLLIN, 0}}};
    if (::poll(watched.data(), watched.size(), -1) < 0) continue;
    if (watched[0].revents == 0) return;
    if (!client.valid()) {
      client.reset(::accept4(server_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      (void)base::send_all(client.get(), greeting_, Deadline::in(kPatience));
      continue;
    }
    std::array<char, 4096> piece{};
    const ssize_t count = ::recv(client.get(), piece.data(), piece.size(), MSG_DONTWAIT);
    if (count == 0 || buffer.size() > kLimit) return;
    if (count > 0) buffer.append(piece.data(), static_cast<std::size_t>(count));
  }
}

}  // namespace holdfast::support
