// SPDX-License-Identifier: MIT
#include "daemon/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <stdexcept>
#include <utility>

namespace holdfast::daemon {

EventLoop::EventLoop()
    : epoll_(::epoll_create1(EPOLL_CLOEXEC)), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!epoll_.valid() || !wake_.valid()) throw std::runtime_error("no descriptors for a loop");
  watch(wake_.get(), EPOLLIN, [this](std::uint32_t) {
    std::uint64_t ignored = 0;
    (void)!::read(wake_.get(), &ignored, sizeof ignored);
  });
}

void EventLoop::watch(int fd, std::uint32_t events, Handler handler) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    throw std::runtime_error("unable to watch a descriptor");
  }
  handlers_[fd] = std::make_shared<Handler>(std::move(handler));
}

void EventLoop::change(int fd, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
}

void EventLoop::forget(int fd) {
  (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  handlers_.erase(fd);
}

EventLoop::Timer EventLoop::at(base::MonoTime time, Work work) {
  const Timer timer{time, ++timers_made_};
  timers_.emplace(timer, std::move(work));
  return timer;
}

void EventLoop::post(Work work) {
  {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(work));
  }
  const std::uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof one);
}

int EventLoop::timeout() const {
  return timers_.empty() ? -1 : base::Deadline(timers_.begin()->first.first).poll_timeout();
}

void EventLoop::run_posted() {
  std::vector<Work> posted;
  {
    const std::lock_guard lock(mutex_);
    posted.swap(posted_);
  }
  for (const Work& work : posted)
    work();
}

void EventLoop::run_timers() {
  while (!timers_.empty() && base::Deadline(timers_.begin()->first.first).passed()) {
    const auto node = timers_.extract(timers_.begin());
    node.mapped()();
  }
}

void EventLoop::turn() {
  std::array<epoll_event, 16> events{};
  const int count =
      ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), timeout());
  if (count < 0 && errno != EINTR) throw std::runtime_error("unable to wait for events");
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events.at(static_cast<std::size_t>(i));
    // Kept alive over its own forget(); an earlier handler of this round may have forgotten it.
    const auto found = handlers_.find(event.data.fd);
    if (found == handlers_.end()) continue;
    const std::shared_ptr<Handler> handler = found->second;
    (*handler)(event.events);
  }
  run_posted();
  run_timers();
}

int EventLoop::run() {
  while (!quit_status_)
    turn();
  return *std::exchange(quit_status_, std::nullopt);
}

}  // namespace holdfast::daemon
