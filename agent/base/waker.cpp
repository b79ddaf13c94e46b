// SPDX-License-Identifier: MIT
#include "base/waker.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>

namespace holdfast::base {

namespace {
// Without an eventfd (no descriptors left) a wait looks at its flags this often instead.
constexpr Millis kBlindInterval{20};
}  // namespace

Waker::Waker() : event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

void Waker::wake() const {
  const std::uint64_t one = 1;
  // Fails only when the counter is at its end, and then the descriptor is readable anyway.
  if (event_.valid()) (void)!::write(event_.get(), &one, sizeof one);
}

void Waker::drain() const {
  std::uint64_t count = 0;
  if (event_.valid()) (void)!::read(event_.get(), &count, sizeof count);
}

void Waker::interrupt() {
  interrupted_ = true;
  wake();
}

Result<void> Waker::wait(int fd, short events, Deadline deadline, const std::stop_token& stop) {
  const std::stop_callback on_stop(stop, [this] { wake(); });
  for (;;) {
    if (interrupted_ || stop.stop_requested()) return Error(ErrorCode::kCancelled, "cancelled");
    std::array<pollfd, 2> watched{{{fd, events, 0}, {event_.get(), POLLIN, 0}}};
    int timeout = deadline.poll_timeout();
    if (!event_.valid()) timeout = std::min(timeout, static_cast<int>(kBlindInterval.count()));
    const int ready = ::poll(watched.data(), watched.size(), timeout);
    if (ready < 0 && errno != EINTR) return errno_error(errno, "unable to poll");
    if (ready > 0 && watched[0].revents != 0) return {};
    if (ready > 0) {
      drain();
    } else if (deadline.passed()) {
      return Error(ErrorCode::kTimedOut, "timed out");
    }
  }
}

}  // namespace holdfast::base
