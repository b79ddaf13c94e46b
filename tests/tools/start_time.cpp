// SPDX-License-Identifier: MIT
//
// start_time SOCKET ROUNDS HOOK EMPTY: how long the start of a hook takes, beside that of a program
// that does nothing, in turn. Of each round one line, in nanoseconds:
//
//   <HOOK: exec to its request received> <HOOK: exec to its end> <EMPTY: exec to its end>
//
// It is holdfastd for that hook: it listens on SOCKET and answers each request at once with "done".
// What forks and executes is posix_spawn(3), which copies nothing of this process; what is measured
// begins before it, and so counts it for both.
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "base/control_protocol.h"
#include "base/unique_fd.h"
#include "base/unix_socket.h"

namespace {

using holdfast::base::Deadline;
using holdfast::base::UniqueFd;
using std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr auto kPatience = 10s;

long long since(steady_clock::time_point begin) {
  return std::chrono::nanoseconds(steady_clock::now() - begin).count();
}

pid_t start(char* const* arguments) {
  // An environment as qemu-ga gives it to a hook: nothing that a start would have to look through.
  std::array<char*, 1> environment{nullptr};
  pid_t child = 0;
  if (::posix_spawn(&child, arguments[0], nullptr, nullptr, arguments, environment.data()) != 0) {
    throw std::runtime_error(std::string("unable to start ") + arguments[0]);
  }
  return child;
}

void await(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) throw std::runtime_error("unable to wait for a program");
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    throw std::runtime_error("a program ended with status " + std::to_string(status));
  }
}

// Takes one request.
UniqueFd receive(int listener) {
  pollfd ready{listener, POLLIN, 0};
  if (::poll(&ready, 1, std::chrono::milliseconds(kPatience).count()) != 1) {
    throw std::runtime_error("no request in time");
  }
  UniqueFd peer(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
  std::string buffer;
  const auto line = holdfast::base::receive_line(peer.get(), buffer, holdfast::base::kRequestLimit,
                                                 Deadline::in(kPatience));
  if (!line) throw std::runtime_error(line.error().text());
  return peer;
}

void measure(const std::string& socket, long rounds, std::string hook, std::string empty) {
  const auto listener = holdfast::base::listen_unix(socket, 0600);
  if (!listener) throw std::runtime_error(listener.error().text());
  const std::string reply = holdfast::base::format_reply({});
  std::string option = "--socket=" + socket;
  std::string verb = "thaw";
  const std::array<char*, 4> hook_arguments{hook.data(), option.data(), verb.data(), nullptr};
  const std::array<char*, 4> empty_arguments{empty.data(), option.data(), verb.data(), nullptr};
  for (long round = 0; round < rounds; ++round) {
    auto begin = steady_clock::now();
    const pid_t asking = start(hook_arguments.data());
    UniqueFd peer = receive(listener->get());
    const long long asked = since(begin);
    (void)!::write(peer.get(), reply.data(), reply.size());
    peer.reset();
    await(asking);
    const long long answered = since(begin);
    begin = steady_clock::now();
    await(start(empty_arguments.data()));
    (void)std::printf("%lld %lld %lld\n", asked, answered, since(begin));
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    (void)std::fputs("usage: start_time SOCKET ROUNDS HOOK EMPTY\n", stderr);
    return 64;
  }
  try {
    measure(argv[1], std::atol(argv[2]), argv[3], argv[4]);
  } catch (const std::exception& problem) {
    (void)std::fprintf(stderr, "start_time: %s\n", problem.what());
    return 1;
  }
  return 0;
}
