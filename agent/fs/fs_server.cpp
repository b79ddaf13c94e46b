// SPDX-License-Identifier: MIT
#include "fs/fs_server.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace holdfast::fs {

namespace {

int sync_one(int fd) {
  return ::syncfs(fd) == 0 ? 0 : errno;
}

int thaw_one(int fd) {
  return ::ioctl(fd, FITHAW, 0) == 0 ? 0 : errno;
}

FsReply failed(int error_number) {
  FsReply reply;
  reply.error_number = error_number;
  return reply;
}

}  // namespace

FsServer::FsServer(base::UniqueFd listener, unsigned owner)
    : listener_(std::move(listener)),
      owner_(owner),
      timer_(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)) {
  filesystems_.reserve(kFsMost);
}

base::Result<void> FsServer::run(int stop) {
  if (!timer_.valid() || sync_.fd() < 0 || thaw_.fd() < 0) {
    return base::errno_error(errno, "unable to make a timer");
  }
  for (;;) {
    std::array<pollfd, 5 + kMostClients> watched{{{stop, POLLIN, 0},
                                                  {listener_.get(), POLLIN, 0},
                                                  {timer_.get(), POLLIN, 0},
                                                  {sync_.fd(), POLLIN, 0},
                                                  {thaw_.fd(), POLLIN, 0}}};
    for (std::size_t i = 0; i < kMostClients; ++i) {
      // A client that waits for a fan-out is not read from; its going away is seen afterwards.
      const bool waits = sync_asker_ == i || thaw_asker_ == i;
      // One that waits for a freeze may wait for ever: its going away is seen at once.
      const short events = freeze_asker_ == i ? 0 : POLLIN;
      watched.at(5 + i) = {waits ? -1 : clients_.at(i).get(), events, 0};
    }
    const int patience = watch_.running() ? watch_.next_look() : -1;
    if (::poll(watched.data(), watched.size(), patience) < 0 && errno != EINTR) {
      return base::errno_error(errno, "unable to wait for requests");
    }
    if (watch_.running() && watch_.sees_freeze()) end_watch({});
    if (watched[2].revents != 0) expire();
    if (watched[4].revents != 0) finish_thaw();
    if (watched[3].revents != 0) finish_sync();
    for (std::size_t i = 0; i < kMostClients; ++i) {
      if (watched.at(5 + i).revents != 0) serve(i);
    }
    if (watched[1].revents != 0) accept_client();
    if (watched[0].revents != 0) return {};
  }
}

void FsServer::accept_client() {
  base::UniqueFd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!client.valid()) return;
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(client.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return;
  if (peer.uid != 0 && peer.uid != owner_) return;
  for (base::UniqueFd& place : clients_) {
    if (place.valid()) continue;
    place = std::move(client);
    return;
  }
}

void FsServer::serve(std::size_t client) {
  if (freeze_asker_ == client) {
    freeze_asker_.reset();
    watch_.stop();
    clients_.at(client).reset();
    return;
  }
  FsRequest request;
  const ssize_t size = ::recv(clients_.at(client).get(), &request, sizeof request, MSG_TRUNC);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size != static_cast<ssize_t>(sizeof request) || request.version != kFsVersion) {
    clients_.at(client).reset();
    return;
  }
  switch (request.op) {
    case FsOp::kOpen:
      return reply_to(client, open_filesystem(request));
    case FsOp::kSync:
      if (const int problem = sync_.start(filesystems_, sync_one); problem != 0) {
        return reply_to(client, failed(problem));
      }
      sync_asker_ = client;
      return;
    case FsOp::kArm:
      return reply_to(client, arm(request.value));
    case FsOp::kThaw:
      if (const int problem = thaw_.start(filesystems_, thaw_one); problem != 0) {
        return reply_to(client, failed(problem));
      }
      thaw_asker_ = client;
      return;
    case FsOp::kAwaitFreeze:
      return await_freeze(client);
    case FsOp::kClose: {
      end_watch(failed(ECANCELED));
      const FsReply reply = arm(0);
      filesystems_.clear();
      return reply_to(client, reply);
    }
  }
  clients_.at(client).reset();
}

void FsServer::reply_to(std::size_t client, const FsReply& reply) {
  if (::send(clients_.at(client).get(), &reply, sizeof reply, MSG_NOSIGNAL | MSG_DONTWAIT) !=
      static_cast<ssize_t>(sizeof reply)) {
    clients_.at(client).reset();
  }
}

FsReply FsServer::open_filesystem(const FsRequest& request) {
  if (filesystems_.size() >= kFsMost) return failed(ENOSPC);
  if (request.path.front() != '/' ||
      std::memchr(request.path.data(), '\0', request.path.size()) == nullptr) {
    return failed(EINVAL);
  }
  base::UniqueFd fd(
      ::open(request.path.data(), O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!fd.valid()) return failed(errno);
  filesystems_.push_back(std::move(fd));
  FsReply reply;
  reply.count = static_cast<std::uint32_t>(filesystems_.size());
  return reply;
}

FsReply FsServer::arm(std::uint64_t milliseconds) {
  if (milliseconds > kArmMostMs) return failed(EINVAL);
  itimerspec when{};
  when.it_value.tv_sec = static_cast<time_t>(milliseconds / 1000);
  when.it_value.tv_nsec = static_cast<long>(milliseconds % 1000) * 1'000'000;
  return ::timerfd_settime(timer_.get(), 0, &when, nullptr) == 0 ? FsReply{} : failed(errno);
}

void FsServer::expire() {
  std::uint64_t times = 0;
  if (::read(timer_.get(), &times, sizeof times) != sizeof times) return;
  // Busy: holdfastd asked for the same a moment ago.
  (void)thaw_.start(filesystems_, thaw_one);
}

void FsServer::await_freeze(std::size_t client) {
  end_watch(failed(ECANCELED));
  // The one that was mounted last is frozen first, and thawed last.
  const int problem = filesystems_.empty() ? EBADF : watch_.start(filesystems_.back().get());
  if (problem != 0) return reply_to(client, failed(problem));
  freeze_asker_ = client;
}

void FsServer::end_watch(const FsReply& reply) {
  watch_.stop();
  if (const auto asker = std::exchange(freeze_asker_, std::nullopt)) reply_to(*asker, reply);
}

void FsServer::finish_sync() {
  const FsReply reply = sync_.take(0);
  if (const auto asker = std::exchange(sync_asker_, std::nullopt)) reply_to(*asker, reply);
}

void FsServer::finish_thaw() {
  // EINVAL: it was not frozen. EOPNOTSUPP: it cannot be, like vfat.
  const FsReply reply = thaw_.take(EINVAL);
  if (const auto asker = std::exchange(thaw_asker_, std::nullopt)) {
    reply_to(*asker, reply.error_number == EOPNOTSUPP ? FsReply{} : reply);
  }
}

}  // namespace holdfast::fs
