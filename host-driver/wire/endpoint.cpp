// SPDX-License-Identifier: MIT
#include "wire/endpoint.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/text.h"
#include "base/uninterrupted.h"
#include "base/unix_socket.h"

namespace holdfast::host::wire {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Result;
using base::UniqueFd;

namespace {

// In the child of a process with threads: nothing but system calls.
[[noreturn]] void become(char* const* argv, int socket, int report) {
  sigset_t none;
  (void)::sigemptyset(&none);
  (void)::sigprocmask(SIG_SETMASK, &none, nullptr);
  (void)::signal(SIGPIPE, SIG_DFL);
  (void)::setsid();
  // A second fork: nobody here would wait for it.
  const pid_t again = ::fork();
  if (again > 0) ::_exit(0);
  int problem = errno;
  if (again == 0 && ::dup2(socket, STDIN_FILENO) >= 0 && ::dup2(socket, STDOUT_FILENO) >= 0) {
    // All others are closed on exec, this one among them: its end says that the program runs.
    ::execv(argv[0], argv);
    problem = errno;
  }
  (void)!::write(report, &problem, sizeof problem);
  ::_exit(1);
}

Result<UniqueFd> start(const std::vector<std::string>& program) {
  std::array<int, 2> ends{};
  std::array<int, 2> reports{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return base::errno_error(errno, "unable to make a socket");
  }
  UniqueFd ours(ends[0]);
  (void)::fcntl(ours.get(), F_SETFL, O_RDWR | O_NONBLOCK);
  UniqueFd theirs(ends[1]);
  if (::pipe2(reports.data(), O_CLOEXEC) != 0) {
    return base::errno_error(errno, "unable to make a pipe");
  }
  const UniqueFd report(reports[0]);
  UniqueFd reporting(reports[1]);
  std::vector<std::string> words = program;
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words)
    argv.push_back(word.data());
  argv.push_back(nullptr);

  const pid_t child = ::fork();
  if (child < 0) return base::errno_error(errno, "unable to start a process");
  if (child == 0) become(argv.data(), theirs.get(), reporting.get());
  theirs.reset();
  reporting.reset();
  (void)base::uninterrupted([&] { return ::waitpid(child, nullptr, 0); });
  int problem = 0;
  const ssize_t said =
      base::uninterrupted([&] { return ::read(report.get(), &problem, sizeof problem); });
  if (said == static_cast<ssize_t>(sizeof problem)) {
    return base::errno_error(problem, "unable to run '" + base::printable(program.front()) + "'");
  }
  return ours;
}

}  // namespace

std::string Endpoint::described_as(const std::string& what) const {
  return program.empty() ? what + " '" + base::printable(path) + "'" : base::printable(name);
}

Result<UniqueFd> open_endpoint(const Endpoint& endpoint, Deadline deadline) {
  return endpoint.program.empty() ? base::connect_unix(endpoint.path, deadline)
                                  : start(endpoint.program);
}

}  // namespace holdfast::host::wire
