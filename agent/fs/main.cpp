// SPDX-License-Identifier: MIT
//
// holdfast-fsd: parses its one option, takes or makes the socket, gives up privileges, and serves.
#include <poll.h>
#include <signal.h>  // sigprocmask: POSIX, not std
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/unique_fd.h"
#include "fs/fs_protocol.h"
#include "fs/fs_server.h"
#include "fs/privileges.h"

namespace {

using holdfast::base::Error;
using holdfast::base::ErrorCode;
using holdfast::base::Result;
using holdfast::base::UniqueFd;

constexpr int kFirstPassedFd = 3;  // sd_listen_fds(3)

struct Listener {
  UniqueFd fd;
  uid_t owner = 0;
};

Result<Listener> passed_socket() {
  Listener listener{UniqueFd(kFirstPassedFd), 0};
  sockaddr_un address{};
  socklen_t size = sizeof address;
  struct stat status {};
  if (::getsockname(listener.fd.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0 ||
      ::stat(static_cast<const char*>(address.sun_path), &status) != 0) {
    return holdfast::base::errno_error(errno, "unable to use the socket that systemd passed");
  }
  listener.owner = status.st_uid;
  return listener;
}

Result<Listener> own_socket(const std::string& path) {
  const std::string what = "unable to listen on '" + path + "'";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return Error(ErrorCode::kUsage, what + ": too long for a socket");
  }
  std::memcpy(static_cast<char*>(address.sun_path), path.data(), path.size());
  Listener listener{UniqueFd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)),
                    ::geteuid()};
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  if (!listener.fd.valid()) return holdfast::base::errno_error(errno, what);
  // A socket left behind refuses; one that answers belongs to another holdfast-fsd.
  if (::connect(listener.fd.get(), generic, sizeof address) == 0) {
    return Error(ErrorCode::kBusy, what + ": another process listens there");
  }
  if (errno == ECONNREFUSED) (void)::unlink(path.c_str());
  // The mode of the descriptor becomes that of the socket file (unix(7)).
  if (::fchmod(listener.fd.get(), S_IRUSR | S_IWUSR) != 0 ||
      ::bind(listener.fd.get(), generic, sizeof address) != 0 ||
      ::listen(listener.fd.get(), 8) != 0) {
    return holdfast::base::errno_error(errno, what);
  }
  return listener;
}

bool socket_was_passed() {
  const char* pid = std::getenv("LISTEN_PID");
  const char* count = std::getenv("LISTEN_FDS");
  return pid != nullptr && count != nullptr && std::to_string(::getpid()) == pid &&
         std::string_view(count) == "1";
}

Result<void> serve(const std::string& path) {
  auto listener = socket_was_passed() ? passed_socket() : own_socket(path);
  if (!listener) return std::move(listener).error();
  if (auto dropped = holdfast::fs::drop_privileges(); !dropped) return dropped;
  // Not required for a thaw (reading works on a frozen filesystem), and so not an error: it keeps
  // the thaw from waiting for a disk. What comes later, stacks of short threads, is not on one.
  (void)::mlockall(MCL_CURRENT);
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  (void)::sigprocmask(SIG_BLOCK, &signals, nullptr);
  const UniqueFd stop(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  holdfast::fs::FsServer server(std::move(listener->fd), listener->owner);
  return server.run(stop.get());
}

int complain(const Error& error) {
  (void)std::fprintf(stderr, "holdfast-fsd: %s\n", error.one_line().c_str());
  return holdfast::base::guest_exit_status(error.code());
}

int run(int argc, char** argv) {
  constexpr std::string_view kSocket = "--socket=";
  std::string path = holdfast::fs::kDefaultFsSocket;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--help") {
      (void)std::puts("usage: holdfast-fsd [--socket=PATH] [--version]");
      return 0;
    }
    if (argument == "--version") {
      (void)std::puts("holdfast-fsd " HOLDFAST_VERSION);
      return 0;
    }
    if (!argument.starts_with(kSocket)) {
      return complain(Error(ErrorCode::kUsage, "unknown argument '" + std::string(argument) + "'"));
    }
    path = argument.substr(kSocket.size());
  }
  if (auto served = serve(path); !served) return complain(served.error());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& problem) {
    (void)std::fprintf(stderr, "holdfast-fsd: %s\n", problem.what());
    return 1;
  }
}
