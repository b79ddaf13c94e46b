// SPDX-License-Identifier: MIT
#include "exec/execd_server.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <utility>

#include "exec/journal_line.h"

namespace holdfast::exec {

using base::Error;
using base::ErrorCode;
using base::Result;
using base::UniqueFd;

namespace {

// One per resource is what there is; the rest is somebody's mistake.
constexpr std::size_t kMostSessions = 64;

void raise_event(int fd) {
  const std::uint64_t one = 1;
  (void)!::write(fd, &one, sizeof one);
}

}  // namespace

struct ExecdServer::Worker {
  std::atomic<bool> is_finished{false};
  std::jthread thread;  // last: joined before the flag goes
};

ExecdServer::ExecdServer(UniqueFd listener, const ExecdContext& context, std::vector<uid_t> peers)
    : listener_(std::move(listener)),
      context_(context),
      peers_(std::move(peers)),
      finished_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

ExecdServer::~ExecdServer() = default;

bool ExecdServer::is_peer(int connection) const {
  ucred peer{};
  socklen_t size = sizeof peer;
  return ::getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
         std::find(peers_.begin(), peers_.end(), peer.uid) != peers_.end();
}

void ExecdServer::accept_one() {
  UniqueFd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!connection.valid()) return;  // gone again, or no descriptors: poll says so again
  if (!is_peer(connection.get())) {
    journal_line(JournalLevel::kWarning, "refused a connection of another user");
    return;
  }
  if (workers_.size() >= kMostSessions) {
    journal_line(JournalLevel::kWarning, "refused a connection: too many are open");
    return;
  }
  Worker& worker = workers_.emplace_back();
  worker.thread = std::jthread(
      [this, &worker, session = std::make_unique<ExecdSession>(std::move(connection), context_)](
          const std::stop_token& stop) mutable {
        if (auto ended = session->run(stop); !ended) {
          journal_line(JournalLevel::kError, ended.error().one_line());
        }
        session.reset();
        worker.is_finished = true;
        raise_event(finished_.get());
      });
}

void ExecdServer::collect_finished() {
  std::uint64_t count = 0;
  (void)!::read(finished_.get(), &count, sizeof count);
  workers_.remove_if([](const Worker& worker) { return worker.is_finished.load(); });
}

Result<void> ExecdServer::serve(int stop_fd) {
  if (!finished_.valid()) return Error(ErrorCode::kInternal, "unable to make an event descriptor");
  for (;;) {
    std::array<pollfd, 3> watched{
        {{listener_.get(), POLLIN, 0}, {finished_.get(), POLLIN, 0}, {stop_fd, POLLIN, 0}}};
    if (::poll(watched.data(), watched.size(), -1) < 0) {
      if (errno == EINTR) continue;
      return base::errno_error(errno, "unable to wait for connections");
    }
    if (watched[2].revents != 0) break;
    if (watched[1].revents != 0) collect_finished();
    if (watched[0].revents != 0) accept_one();
  }
  for (Worker& worker : workers_)
    worker.thread.request_stop();
  workers_.clear();
  return {};
}

}  // namespace holdfast::exec
