// SPDX-License-Identifier: MIT
#include "command/signals.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <system_error>

namespace holdfast::host::command {

Signals::Signals() : ended_(::eventfd(0, EFD_CLOEXEC)) {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP})
    ::sigaddset(&set, signal);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  // A pipe that nobody reads any more (cron's, a pager's) ends nothing by itself.
  (void)::signal(SIGPIPE, SIG_IGN);
  signals_.reset(::signalfd(-1, &set, SFD_CLOEXEC));
  if (!signals_.valid() || !ended_.valid()) {
    throw std::system_error(errno, std::generic_category(), "unable to listen for signals");
  }
  listener_ = std::thread([this] { listen(); });
}

Signals::~Signals() {
  const std::uint64_t one = 1;
  (void)!::write(ended_.get(), &one, sizeof one);
  listener_.join();
}

void Signals::listen() {
  for (;;) {
    std::array<pollfd, 2> watched{{{signals_.get(), POLLIN, 0}, {ended_.get(), POLLIN, 0}}};
    if (::poll(watched.data(), watched.size(), -1) < 0) {
      if (errno == EINTR) continue;
      return;
    }
    if (watched[1].revents != 0) return;
    signalfd_siginfo info{};
    if (::read(signals_.get(), &info, sizeof info) != static_cast<ssize_t>(sizeof info)) continue;
    if (!first_.request_stop()) second_.request_stop();
  }
}

}  // namespace holdfast::host::command
