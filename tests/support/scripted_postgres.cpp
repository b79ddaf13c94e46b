// SPDX-License-Identifier: MIT
#include "support/scripted_postgres.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <utility>

namespace holdfast::support {

namespace {

// https://www.postgresql.org/docs/current/protocol-message-formats.html
std::string big_endian(std::uint32_t number) {
  const std::uint32_t ordered = htonl(number);
  std::string bytes(sizeof ordered, '\0');
  std::memcpy(bytes.data(), &ordered, sizeof ordered);
  return bytes;
}

std::string short_big_endian(std::size_t number) {
  return big_endian(static_cast<std::uint32_t>(number)).substr(2);
}

std::string message(char kind, const std::string& body) {
  return kind + big_endian(static_cast<std::uint32_t>(body.size() + 4)) + body;
}

std::string text(const std::string& value) {
  return value + '\0';
}

std::string encoded(const Answered& answer) {
  const std::string ready = message('Z', "I");
  if (!answer.state.empty()) {
    const std::string severity = answer.fatal ? "FATAL" : "ERROR";
    std::string fields = "S" + text(severity) + "V" + text(severity) + "C" + text(answer.state) +
                         "M" + text(answer.message);
    if (!answer.hint.empty()) fields += "H" + text(answer.hint);
    return message('E', fields + '\0') + (answer.fatal ? "" : ready);
  }
  std::string columns = short_big_endian(answer.row.size());
  std::string values = columns;
  for (const std::string& value : answer.row) {
    // Name, table, attribute, type (text), its size, its modifier, format.
    columns += text("c") + big_endian(0) + short_big_endian(0) + big_endian(25) + "\xff\xff" +
               big_endian(UINT32_MAX) + short_big_endian(0);
    values += big_endian(static_cast<std::uint32_t>(value.size())) + value;
  }
  return message('1', "") + message('2', "") + message('T', columns) + message('D', values) +
         message('C', text("SELECT 1")) + ready;
}

// Reads the client's messages one after the other.
class Reader {
 public:
  explicit Reader(int fd) : fd_(fd) {}

  std::optional<std::string> bytes(std::size_t count) {
    std::string data(count, '\0');
    for (std::size_t have = 0; have < count;) {
      const ssize_t got = ::read(fd_, data.data() + have, count - have);
      if (got <= 0) return std::nullopt;
      have += static_cast<std::size_t>(got);
    }
    return data;
  }
  std::optional<std::string> body() {
    const auto size = bytes(4);
    if (!size) return std::nullopt;
    return bytes(number(*size, 0, 4) - 4);
  }

  static std::uint32_t number(const std::string& data, std::size_t at, std::size_t size) {
    std::uint32_t result = 0;
    for (std::size_t i = 0; i < size; ++i)
      result = (result << 8U) | static_cast<unsigned char>(data.at(at + i));
    return result;
  }

 private:
  int fd_;
};

// The values in a Bind message.
std::vector<std::string> bound(const std::string& body) {
  std::size_t at = body.find('\0') + 1;
  at = body.find('\0', at) + 1;
  at += 2 + 2 * std::size_t{Reader::number(body, at, 2)};
  std::vector<std::string> values(Reader::number(body, at, 2));
  at += 2;
  for (std::string& value : values) {
    const std::size_t size = Reader::number(body, at, 4);
    value = body.substr(at + 4, size);
    at += 4 + size;
  }
  return values;
}

void send(int client, const std::string& bytes) {
  (void)::send(client, bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

}  // namespace

Statement answers(const std::string& part, std::vector<std::string> row,
                  std::vector<std::string> parameters) {
  return {part, std::move(parameters), [row = std::move(row)] { return Answered{row}; }};
}

Statement refuses(const std::string& part, Answered error) {
  return {part, {}, [error = std::move(error)] { return error; }};
}

ScriptedPostgres::ScriptedPostgres(std::string version, std::vector<Conversation> scripts)
    : version_(std::move(version)),
      scripts_(std::move(scripts)),
      server_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)),
      ended_(::eventfd(0, EFD_CLOEXEC)) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = directory_.file(".s.PGSQL.5432");
  if (path.size() >= sizeof address.sun_path) throw std::runtime_error("the path is too long");
  std::memcpy(static_cast<void*>(address.sun_path), path.c_str(), path.size() + 1);
  if (::bind(server_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(server_.get(), 8) != 0) {
    throw std::runtime_error("unable to listen at " + path);
  }
  thread_ = std::thread([this] { play(); });
}

ScriptedPostgres::~ScriptedPostgres() {
  (void)finish();
}

std::string ScriptedPostgres::finish() {
  if (thread_.joinable()) {
    const std::uint64_t one = 1;
    (void)!::write(ended_.get(), &one, sizeof one);
    thread_.join();
    for (std::thread& session : sessions_)
      session.join();
    for (std::size_t i = sessions_.size(); i < scripts_.size(); ++i)
      note("nobody opened session " + std::to_string(i + 1));
  }
  const std::lock_guard lock(mutex_);
  return problem_;
}

void ScriptedPostgres::note(const std::string& problem) {
  const std::lock_guard lock(mutex_);
  if (problem_.empty()) problem_ = problem;
}

void ScriptedPostgres::play() {
  for (;;) {
    std::array<pollfd, 2> watched{{{server_.get(), POLLIN, 0}, {ended_.get(), POLLIN, 0}}};
    if (::poll(watched.data(), watched.size(), -1) < 0) continue;
    // Who has connected comes before the end.
    if (watched[0].revents == 0) return;
    const int client = ::accept4(server_.get(), nullptr, nullptr, SOCK_CLOEXEC);
    const std::size_t session = sessions_.size();
    if (session == scripts_.size()) {
      note("a connection too many");
      ::close(client);
      return;
    }
    sessions_.emplace_back([this, client, session] {
      const base::UniqueFd owned(client);
      serve(client, session);
    });
  }
}

void ScriptedPostgres::serve(int client, std::size_t session) {
  Reader reader(client);
  if (!reader.body()) return note("no startup message");
  std::string greeting = message('R', big_endian(0));
  for (const auto& [name, value] : {std::pair<std::string, std::string>{"server_version", version_},
                                    {"client_encoding", "UTF8"},
                                    {"standard_conforming_strings", "on"}}) {
    greeting += message('S', text(name) + text(value));
  }
  const auto pid = static_cast<std::uint32_t>(1001 + session);
  send(client, greeting + message('K', big_endian(pid) + big_endian(0)) + message('Z', "I"));

  std::size_t next = 0;
  std::string statement;
  std::vector<std::string> parameters;
  const Conversation& script = scripts_[session];
  for (auto kind = reader.bytes(1); kind && *kind != "X"; kind = reader.bytes(1)) {
    const auto body = reader.body();
    if (!body) break;
    if (*kind == "P") statement = body->substr(1, body->find('\0', 1) - 1);
    if (*kind == "B") parameters = bound(*body);
    if (*kind != "S") continue;
    if (next == script.size()) return note("nobody expected '" + statement + "'");
    const Statement& expected = script[next++];
    if (statement.find(expected.part) == std::string::npos) {
      return note("expected '" + expected.part + "', got '" + statement + "'");
    }
    if (parameters != expected.parameters) {
      return note("other parameters than expected of '" + statement + "'");
    }
    const Answered answer = expected.answer();
    send(client, encoded(answer));
    if (answer.fatal) break;
  }
  if (next < script.size()) note("nobody asked '" + script[next].part + "'");
}

}  // namespace holdfast::support
