// SPDX-License-Identifier: MIT
#include "wired.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>

#include "base/clock.h"
#include "base/unix_socket.h"
#include "fuzz.h"

namespace holdfast::fuzz {

namespace {

constexpr char kDelimiter = '\xFF';

}  // namespace

Speaker::Speaker() : path_(directory_.file("socket")) {
  auto server = base::listen_unix(path_, 0600);
  require(server.has_value(), "a socket");
  server_ = std::move(*server);
  speaking_ = std::thread([this] { serve(); });
}

Speaker::~Speaker() {
  ending_ = true;
  begin_.release();
  speaking_.join();
}

void Speaker::serve() {
  for (;;) {
    begin_.acquire();
    if (ending_) return;
    // listen_unix() makes sockets that do not block.
    pollfd watched{server_.get(), POLLIN, 0};
    require(::poll(&watched, 1, -1) == 1, "a client");
    client_.reset(::accept4(server_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    require(client_.valid(), "a connection");
    // What is longer than the buffer is cut there.
    (void)::send(client_.get(), said_.data(), said_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    // A client that has gone already needs no end.
    (void)::shutdown(client_.get(), SHUT_WR);
    done_.release();
  }
}

void Speaker::say(std::string_view input) {
  said_ = input;
  begin_.release();
}

std::vector<base::Json> Speaker::requests() {
  done_.acquire();
  std::string said;
  std::array<char, 65536> piece{};
  for (;;) {
    const ssize_t count = ::recv(client_.get(), piece.data(), piece.size(), MSG_DONTWAIT);
    if (count <= 0) break;
    said.append(piece.data(), static_cast<std::size_t>(count));
  }
  client_.reset();
  std::vector<base::Json> requests;
  std::string_view rest = said;
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    require(end != std::string_view::npos, "a request is a whole line");
    std::string_view line = rest.substr(0, end);
    if (line.starts_with(kDelimiter)) line.remove_prefix(1);
    auto request = base::parse_json(line);
    require(request && base::string_member(*request, "execute").has_value(), "it is a request");
    requests.push_back(std::move(*request));
    rest.remove_prefix(end + 1);
  }
  return requests;
}

void require_told(const base::Error& error) {
  require(is_one_safe_line(error.one_line()), "the error is one safe line");
  require(error.code() != base::ErrorCode::kInternal, "it is nobody's fault but the other side's");
  require(error.one_line().size() < 4096, "the error is not endless");
}

}  // namespace holdfast::fuzz
