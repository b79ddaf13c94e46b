// SPDX-License-Identifier: MIT
#include "daemon/guest_agent_watch.h"

#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "base/unix_socket.h"
#include "fs/fs_protocol.h"

namespace holdfast::daemon {

namespace {

constexpr const char* kIsFrozen = "qga.state.isfrozen";
// It listens or it does not; the loop has other things to do.
constexpr base::Millis kConnectLimit{20};

bool only_root_writes(const std::string& directory) {
  struct stat status {};
  return ::stat(directory.c_str(), &status) == 0 && S_ISDIR(status.st_mode) && status.st_uid == 0 &&
         (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

}  // namespace

GuestAgentWatch::GuestAgentWatch(EventLoop& loop, std::string state_directory,
                                 std::string fs_socket, std::function<void()> thawed)
    : loop_(loop),
      state_directory_(std::move(state_directory)),
      fs_socket_(std::move(fs_socket)),
      thawed_(std::move(thawed)),
      inotify_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {
  if (!inotify_.valid()) throw std::runtime_error("no descriptor to watch the guest agent with");
  loop_.watch(inotify_.get(), EPOLLIN, [this](std::uint32_t) { read_events(); });
}

void GuestAgentWatch::begin() {
  if (!only_root_writes(state_directory_)) return;
  watch_ = ::inotify_add_watch(inotify_.get(), state_directory_.c_str(),
                               IN_CREATE | IN_DELETE | IN_ONLYDIR);
}

void GuestAgentWatch::end() {
  const int watch = watch_.exchange(-1);
  if (watch >= 0) (void)::inotify_rm_watch(inotify_.get(), watch);
}

void GuestAgentWatch::read_events() {
  alignas(inotify_event) std::array<char, 4096> events{};
  for (;;) {
    const ssize_t size = ::read(inotify_.get(), events.data(), events.size());
    if (size <= 0) return;
    for (std::size_t at = 0; at < static_cast<std::size_t>(size);) {
      const auto* event = reinterpret_cast<const inotify_event*>(events.data() + at);
      on_event(*event);
      at += sizeof(inotify_event) + event->len;
    }
  }
}

void GuestAgentWatch::on_event(const inotify_event& event) {
  // The window is over, or events were lost: nothing is known.
  if ((event.mask & (IN_IGNORED | IN_Q_OVERFLOW)) != 0) {
    if (event.wd == asked_for_ || event.wd < 0) forget();
    return;
  }
  // Of an earlier window: each has a watch of its own.
  if (event.wd != watch_ || event.len == 0 || std::strcmp(event.name, kIsFrozen) != 0) return;
  if ((event.mask & IN_CREATE) != 0) return await_freeze();
  take_answer();
  const bool frozen = frozen_ && asked_for_ == event.wd;
  forget();
  if (frozen) thawed_();
}

void GuestAgentWatch::await_freeze() {
  forget();
  auto connected =
      base::connect_unix(fs_socket_, base::Deadline::in(kConnectLimit), SOCK_SEQPACKET);
  if (!connected) return;
  fs::FsRequest request;
  request.op = fs::FsOp::kAwaitFreeze;
  if (::send(connected->get(), &request, sizeof request, MSG_NOSIGNAL | MSG_DONTWAIT) !=
      static_cast<ssize_t>(sizeof request)) {
    return;
  }
  asked_ = std::move(*connected);
  asked_for_ = watch_;
  loop_.watch(asked_.get(), EPOLLIN, [this](std::uint32_t) { take_answer(); });
}

void GuestAgentWatch::take_answer() {
  if (!asked_.valid()) return;
  fs::FsReply reply;
  const ssize_t size = ::recv(asked_.get(), &reply, sizeof reply, MSG_DONTWAIT | MSG_TRUNC);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  frozen_ = size == static_cast<ssize_t>(sizeof reply) && reply.version == fs::kFsVersion &&
            reply.error_number == 0;
  loop_.forget(asked_.get());
  asked_.reset();
}

void GuestAgentWatch::forget() {
  if (asked_.valid()) {
    loop_.forget(asked_.get());
    asked_.reset();
  }
  asked_for_ = -1;
  frozen_ = false;
}

}  // namespace holdfast::daemon
