// SPDX-License-Identifier: MIT
#include "daemon/control_server.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <utility>

namespace holdfast::daemon {

namespace {

using base::Error;
using base::ErrorCode;
using namespace std::chrono_literals;

// How long a client may take to say what it wants, and to read what it gets.
constexpr auto kClientLimit = 5s;

bool may_control(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
         (peer.uid == 0 || peer.uid == ::geteuid());
}

}  // namespace

ControlServer::ControlServer(base::UniqueFd listener, EventLoop& loop, Callbacks callbacks)
    : listener_(std::move(listener)), loop_(loop), callbacks_(std::move(callbacks)) {
  loop_.watch(listener_.get(), EPOLLIN, [this](std::uint32_t) { accept_client(); });
}

ControlServer::~ControlServer() {
  while (!clients_.empty())
    drop(clients_.begin()->first);
  loop_.forget(listener_.get());
}

void ControlServer::accept_client() {
  base::UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd.valid()) return;
  if (clients_.size() >= kMostClients) {
    // Makes room: the oldest one that has not said yet what it wants.
    const auto idle = std::find_if(clients_.begin(), clients_.end(),
                                   [](const auto& entry) { return !entry.second.verb; });
    if (idle == clients_.end()) return;
    drop(idle->first);
  }
  const std::uint64_t id = ++clients_made_;
  Client& client = clients_[id];
  client.fd = std::move(fd);
  loop_.watch(client.fd.get(), EPOLLIN | EPOLLRDHUP,
              [this, id](std::uint32_t events) { on_event(id, events); });
  set_timer(id, client);
}

void ControlServer::set_timer(std::uint64_t id, Client& client) {
  if (client.timer) loop_.cancel(*client.timer);
  client.timer =
      loop_.at(std::chrono::steady_clock::now() + kClientLimit, [this, id] { drop(id); });
}

void ControlServer::on_event(std::uint64_t id, std::uint32_t events) {
  const auto found = clients_.find(id);
  if (found == clients_.end()) return;
  Client& client = found->second;
  if (!client.output.empty()) {
    if ((events & (EPOLLERR | EPOLLHUP)) != 0) return drop(id);
    if ((events & EPOLLOUT) != 0) send_output(id, client);
    return;
  }
  if (client.verb) {
    // A hang-up of the whole connection while the answer is awaited: nobody waits any more. Half a
    // hang-up only says that there will be no second request.
    if ((events & (EPOLLERR | EPOLLHUP)) != 0) drop(id);
    return;
  }
  read_request(id, client);
}

void ControlServer::read_request(std::uint64_t id, Client& client) {
  std::array<char, base::kRequestLimit> piece{};
  const ssize_t count = ::recv(client.fd.get(), piece.data(), piece.size(), MSG_DONTWAIT);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count <= 0) return drop(id);
  // Not before it has spoken: an answer to somebody who is still about to ask is lost on him.
  if (!may_control(client.fd.get())) {
    return reply(
        id, base::reply_for(Error(ErrorCode::kPermission, "only root may control holdfastd")), {});
  }
  client.input.append(piece.data(), static_cast<std::size_t>(count));
  const std::size_t end = client.input.find('\n');
  if (end == std::string::npos) {
    if (client.input.size() < base::kRequestLimit) return;
    return reply(id, base::reply_for(Error(ErrorCode::kTooLarge, "the request is too long")), {});
  }
  auto verb = base::parse_request(std::string_view(client.input).substr(0, end));
  if (!verb) return reply(id, base::reply_for(verb.error()), {});
  take_request(id, client, *verb);
}

void ControlServer::take_request(std::uint64_t id, Client& client, base::Verb verb) {
  client.verb = verb;
  if (client.timer) loop_.cancel(*std::exchange(client.timer, std::nullopt));
  if (verb == base::Verb::kStatus) return reply(id, {}, callbacks_.status());
  // From here on only the end of the connection is of interest.
  loop_.change(client.fd.get(), 0);
  client.job =
      callbacks_.submit(verb, [this, id, verb](const base::ReplyLine& line, std::string document) {
        const auto found = clients_.find(id);
        const bool froze = verb == base::Verb::kFreeze && line.status == 0;
        if (found == clients_.end()) {
          if (froze) callbacks_.unheard_freeze();
          return callbacks_.replied();
        }
        found->second.freeze_succeeded = froze;
        reply(id, line, std::move(document));
      });
}

void ControlServer::reply(std::uint64_t id, const base::ReplyLine& line, std::string document) {
  const auto found = clients_.find(id);
  if (found == clients_.end()) return;
  Client& client = found->second;
  client.output = base::format_reply(line) + std::move(document);
  set_timer(id, client);
  send_output(id, client);
}

void ControlServer::send_output(std::uint64_t id, Client& client) {
  while (!client.output.empty()) {
    const ssize_t count = ::send(client.fd.get(), client.output.data(), client.output.size(),
                                 MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return loop_.change(client.fd.get(), EPOLLOUT);
    if (count < 0) return drop(id);
    client.output.erase(0, static_cast<std::size_t>(count));
  }
  client.freeze_succeeded = false;
  drop(id);
}

void ControlServer::drop(std::uint64_t id) {
  const auto found = clients_.find(id);
  if (found == clients_.end()) return;
  Client client = std::move(found->second);
  clients_.erase(found);
  if (client.timer) loop_.cancel(*client.timer);
  loop_.forget(client.fd.get());
  client.fd.reset();
  // A thaw is carried out whether or not somebody waits for it; a freeze is of no use then.
  if (client.verb != base::Verb::kThaw) (void)client.job.request_stop();
  if (client.freeze_succeeded) callbacks_.unheard_freeze();
  callbacks_.replied();
}

}  // namespace holdfast::daemon
