// SPDX-License-Identifier: MIT
#include "command/child.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/text.h"

namespace holdfast::host::command {

using base::Error;
using base::ErrorCode;
using base::Result;
using base::UniqueFd;

namespace {

// The first one after the standard streams: a guardian puts its socket there and closes the rest.
constexpr int kReportFd = 3;

// In the child of a process with several threads: async-signal-safe calls alone. The signals that
// Signals has blocked stay blocked through the exec, so that one that comes early is not lost, and
// the new program takes it from its own signalfd.
// uncovered(14): the counters of a child end with its exec, as its memory does
[[noreturn]] void become_self(char* const* argv, int events, pid_t parent) {
  (void)::setpgid(0, 0);
  (void)::prctl(PR_SET_PDEATHSIG, SIGTERM);
  // The parent may have died before the request above took effect.
  if (::getppid() != parent) ::_exit(127);
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null >= 0 && ::dup2(null, STDIN_FILENO) >= 0 && ::dup2(null, STDOUT_FILENO) >= 0) {
    // dup2(2) of a descriptor to itself would leave it close-on-exec.
    const bool there = events == kReportFd ? ::fcntl(events, F_SETFD, 0) == 0
                                           : ::dup2(events, kReportFd) == kReportFd;
    // Not by the name in argv[0]: a package that is being upgraded has another program there.
    if (there) ::execv("/proc/self/exe", argv);
  }
  ::_exit(127);
}

}  // namespace

Result<Child> Child::start(std::vector<std::string> words) {
  words.insert(words.begin(), "holdfast");
  words.insert(words.begin() + 1, "--report-fd=" + std::to_string(kReportFd));
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words)
    argv.push_back(word.data());
  argv.push_back(nullptr);

  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0)
    return base::errno_error(errno, "unable to make a pipe");
  UniqueFd ours(ends[0]);
  const UniqueFd theirs(ends[1]);
  // Our end alone: an event that does not fit now is to wait in the child.
  (void)::fcntl(ours.get(), F_SETFL, O_NONBLOCK);
  const pid_t parent = ::getpid();
  const pid_t process = ::fork();
  if (process < 0) return base::errno_error(errno, "unable to start a process");
  if (process == 0) become_self(argv.data(), theirs.get(), parent);
  // Both sides do it, so that the group exists whoever runs first.
  (void)::setpgid(process, process);
  UniqueFd process_fd(static_cast<int>(::syscall(SYS_pidfd_open, process, 0)));
  Child child(process, std::move(process_fd), std::move(ours));
  if (!child.process_fd_.valid()) return base::errno_error(errno, "unable to watch a process");
  return child;
}

Child::Child(Child&& other) noexcept
    : process_(std::exchange(other.process_, -1)),
      process_fd_(std::move(other.process_fd_)),
      events_(std::move(other.events_)),
      unread_(std::move(other.unread_)),
      stopped_(other.stopped_) {}

Child::~Child() {
  if (process_ < 0) return;
  events_.reset();
  (void)::kill(process_, SIGTERM);
  (void)wait();
}

Result<std::vector<Event>> Child::read_events() {
  std::array<char, 65536> buffer{};
  for (;;) {
    const ssize_t count = ::read(events_.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) break;
    if (count <= 0) {
      events_.reset();
      break;
    }
    unread_.append(buffer.data(), static_cast<std::size_t>(count));
    if (unread_.size() > 2 * kEventLimit) break;
  }
  std::vector<Event> events;
  std::size_t begin = 0;
  for (std::size_t end = unread_.find('\n'); end != std::string::npos;
       end = unread_.find('\n', begin)) {
    auto event = parse_event(std::string_view(unread_).substr(begin, end - begin));
    if (!event) {
      events_.reset();
      return std::move(event).error();
    }
    events.push_back(std::move(*event));
    begin = end + 1;
  }
  unread_.erase(0, begin);
  if (unread_.size() > kEventLimit) {
    events_.reset();
    return Error(ErrorCode::kTooLarge,
                 "an event is larger than " + base::format_bytes(kEventLimit));
  }
  return events;
}

void Child::stop() {
  // Two numbers, since two pending signals of the same one are one.
  (void)::kill(process_, stopped_ ? SIGINT : SIGTERM);
  stopped_ = true;
}

int Child::wait() {
  int status = 0;
  while (::waitpid(process_, &status, 0) < 0 && errno == EINTR) {
  }
  process_ = -1;
  return status;
}

}  // namespace holdfast::host::command
