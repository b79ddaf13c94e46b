// SPDX-License-Identifier: MIT
#include "scripted_server.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <utility>

#include "base/unix_socket.h"

namespace holdfast::redis {

namespace {

// Takes one command off the input: "*2\r\n$4\r\nINFO\r\n…" is "INFO …".
std::optional<std::string> take_command(std::string& input) {
  std::size_t at = 0;
  const auto number = [&](char kind) -> std::optional<std::size_t> {
    const std::size_t end = input.find("\r\n", at);
    if (end == std::string::npos) return std::nullopt;
    if (input.at(at) != kind) throw std::runtime_error("not a command: " + input);
    const std::size_t value = std::stoul(input.substr(at + 1, end - at - 1));
    at = end + 2;
    return value;
  };
  if (input.empty()) return std::nullopt;
  const auto count = number('*');
  if (!count) return std::nullopt;
  std::string command;
  for (std::size_t i = 0; i < *count; ++i) {
    if (at >= input.size()) return std::nullopt;
    const auto size = number('$');
    if (!size || input.size() < at + *size + 2) return std::nullopt;
    command += (i == 0 ? "" : " ") + input.substr(at, *size);
    at += *size + 2;
  }
  input.erase(0, at);
  return command;
}

}  // namespace

std::string bulk(const std::string& text) {
  return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
}

std::string info(const std::string& lines) {
  // The first line of a name counts.
  return bulk("# Server\r\n" + lines +
              "redis_version:7.0.15\r\nredis_mode:standalone\r\nrun_id:r1\r\nloading:0\r\n"
              "role:master\r\nconnected_slaves:0\r\nmaster_replid:i1\r\nmaster_repl_offset:7\r\n"
              "aof_enabled:1\r\naof_current_size:100\r\naof_base_size:50\r\n"
              "aof_buffer_length:0\r\naof_pending_bio_fsync:0\r\naof_last_write_status:ok\r\n"
              "rdb_bgsave_in_progress:0\r\nrdb_last_bgsave_status:ok\r\n"
              "rdb_changes_since_last_save:3\r\nrdb_last_save_time:1700000000\r\n");
}

ScriptedServer::ScriptedServer(std::vector<Entry> script) : ended_(::eventfd(0, EFD_CLOEXEC)) {
  for (Entry& entry : script)
    (entry.aside ? asides_ : script_).push_back(std::move(entry));
  auto listener = base::listen_unix(path_, 0600);
  if (!listener) throw std::runtime_error(listener.error().text());
  listener_ = std::move(*listener);
  thread_ = std::thread([this] { play(); });
}

ScriptedServer::~ScriptedServer() {
  (void)finish();
}

std::string ScriptedServer::finish() {
  if (thread_.joinable()) {
    const std::uint64_t one = 1;
    (void)!::write(ended_.get(), &one, sizeof one);
    thread_.join();
    clients_.clear();
    if (problem_.empty() && next_ < script_.size()) {
      problem_ = "nobody asked for '" + script_.at(next_).command + "'";
    }
  }
  return problem_;
}

void ScriptedServer::play() {
  for (;;) {
    std::vector<pollfd> watched{{ended_.get(), POLLIN, 0}, {listener_.get(), POLLIN, 0}};
    for (const Client& client : clients_)
      watched.push_back({client.fd.get(), POLLIN, 0});
    if (::poll(watched.data(), watched.size(), -1) < 0) return;
    for (std::size_t i = clients_.size(); i > 0; --i) {
      if (watched.at(i + 1).revents == 0) continue;
      if (!serve(clients_.at(i - 1))) {
        clients_.erase(clients_.begin() + static_cast<std::ptrdiff_t>(i - 1));
      }
    }
    if (watched.at(1).revents != 0) {
      clients_.push_back(
          {base::UniqueFd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)), {}});
    }
    if (watched.at(0).revents != 0) return;
  }
}

bool ScriptedServer::serve(Client& client) {
  std::array<char, 4096> piece{};
  const ssize_t count = ::recv(client.fd.get(), piece.data(), piece.size(), 0);
  if (count <= 0) return false;
  client.input.append(piece.data(), static_cast<std::size_t>(count));
  while (const auto command = take_command(client.input)) {
    answer(client, *command);
    if (!client.fd.valid()) return false;
  }
  return true;
}

void ScriptedServer::answer(Client& client, const std::string& command) {
  if (next_ == script_.size() || script_.at(next_).command != command) {
    for (const Entry& entry : asides_) {
      if (entry.command != command) continue;
      (void)!::send(client.fd.get(), entry.reply.data(), entry.reply.size(), MSG_NOSIGNAL);
      return;
    }
    if (problem_.empty()) {
      problem_ = "'" + command + "' came, and not '" +
                 (next_ == script_.size() ? "the end" : script_.at(next_).command) + "'";
    }
    client.fd.reset();
    return;
  }
  const Entry& entry = script_.at(next_++);
  (void)!::send(client.fd.get(), entry.reply.data(), entry.reply.size(), MSG_NOSIGNAL);
  if (entry.hangs_up) client.fd.reset();
}

}  // namespace holdfast::redis
